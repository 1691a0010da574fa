//! OS processes: the only room that starts, watches and signals them.
//!
//! An [`OsProcess`] owns one worker's process and everything that it starts; dropping it kills all of that. On Linux a
//! [`shim`] holds the tree, also when this host is gone. What an earlier run left behind is found by its [`Marker`] and
//! ended through [`sighting`].

mod containment;
mod exit;
pub(crate) mod identity;
mod launch;
mod marker;
mod os_process;
mod output;
pub(crate) mod shim;
pub(crate) mod sighting;
mod spawn;
mod spec;
mod tether;
mod usage;
mod watch;

pub use containment::{Containment, ContainmentLevel, SpawnStep};
pub use exit::ProcessExit;
pub use identity::ProcessIdentity;
pub(crate) use launch::{Launcher, Spawned};
pub(crate) use marker::{HostMark, HostRun, Marker, RegistryId, RunId};
pub(crate) use os_process::OsProcess;
pub use os_process::StopOutcome;
pub(crate) use output::{OutputLine, OutputStream, StderrTail};
pub(crate) use spawn::SpawnError;
pub use spec::{ProcessSpec, Resource, ResourceLimit, TermTarget, UserIds, Wire, WirePipes};
pub(crate) use tether::{OnGone, TreeEnd};
#[cfg(test)]
pub(crate) use usage::ReadUsage;
pub(crate) use usage::{TreeUsage, UsageGauge};
pub(crate) use watch::TreeState;

#[cfg(test)]
mod tests;
