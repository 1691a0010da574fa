//! OS processes: the only room that starts, watches and signals them.
//!
//! An [`OsProcess`] owns one process and its group; dropping it kills the group. What an earlier run left behind is
//! found by its [`Marker`] and ended through [`sighting`].

mod exit;
mod identity;
mod marker;
mod os_process;
mod output;
pub(crate) mod sighting;
mod spawn;
mod spec;

pub use exit::ProcessExit;
pub use identity::ProcessIdentity;
pub(crate) use identity::boot_id;
pub(crate) use marker::{Marker, RunId};
pub(crate) use os_process::{OsProcess, StopOutcome};
pub(crate) use output::{OutputLine, OutputStream, StderrTail};
pub(crate) use spawn::{SpawnError, Spawned, spawn};
pub use spec::{ProcessSpec, Wire, WirePipes};
