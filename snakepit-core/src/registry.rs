//! The registry of processes as an operator needs it: what a host has running, and what to do where none comes back.
//!
//! Both work on a data directory from any program. [`list`] reads along with a live host and after a dead one;
//! [`recover`] ends what a dead host left, and is refused while a host uses the directory.

pub use crate::process_registry::recover_directory as recover;
pub use crate::process_registry::{ListError, ProcessRow, ProcessState, RegistryView, list};
