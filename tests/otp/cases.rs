//! The cases, in rooms by what they are about.

mod automatic_shutdown;
mod dynamic;
mod extensions;
mod group_restart;
mod intensity;
mod processes;
mod requests;
mod restart_types;
mod seeing;
mod shutdown;
mod starting;
mod threads;

pub(crate) use automatic_shutdown::*;
pub(crate) use dynamic::*;
pub(crate) use extensions::*;
pub(crate) use group_restart::*;
pub(crate) use intensity::*;
pub(crate) use processes::*;
pub(crate) use requests::*;
pub(crate) use restart_types::*;
pub(crate) use seeing::*;
pub(crate) use shutdown::*;
pub(crate) use starting::*;
pub(crate) use threads::*;

/// Where the crate differs from OTP on purpose. The case asserts what is said here.
pub(crate) const DEVIATIONS: &[(&str, &str)] = &[
    ("oc_06", "auto-shutdown of a dynamic supervisor cannot be written down: its spec has no such setting"),
    ("oc_12", "questions are answered at once during a start; OTP answers when it is over"),
    ("oc_31", "no truncation to whole seconds: just over the period is out of the window"),
    ("oc_48", "a death may overtake a queued request: one restart may come before it, none after it"),
];
