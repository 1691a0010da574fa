//! The registry of processes: what may run is written down before it runs, so that the next host can find it.
//!
//! First up, last down. It sits beside the pools, and its crash harms no worker: the store outlives the actor.

mod actor;
mod handle;
mod lock;
mod message;
mod orphan;
mod record;
mod recovery;
mod store;

pub(crate) use actor::{ProcessRegistry, ProcessRegistryArgs};
pub(crate) use handle::{ProcessRegistryRef, RegistryError};
pub(crate) use lock::{DirectoryLock, LockError};
pub use recovery::RecoveryReport;
pub(crate) use recovery::recover;
pub(crate) use store::Store;
