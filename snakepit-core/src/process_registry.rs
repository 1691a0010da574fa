//! The registry of processes: what may run is written down before it runs, so that the next host can find it.
//!
//! First up, last down. It sits beside the pools, and its crash harms no worker: records, requests and the writer's thread
//! outlive the actor.

mod actor;
mod handle;
mod ledger;
mod lock;
mod message;
mod opening;
mod orphan;
mod queue;
mod record;
mod recovery;
#[cfg(test)]
pub(crate) mod scenes;
mod store;
mod view;
mod writer;

pub(crate) use actor::ProcessRegistry;
pub(crate) use handle::{ProcessRegistryRef, RegistryError};
pub use opening::recover_directory;
pub(crate) use opening::{OpenRegistry, open};
pub use recovery::RecoveryReport;
pub use view::{ListError, ProcessRow, ProcessState, RegistryView, list};
