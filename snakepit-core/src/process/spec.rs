//! What to run: a program, its arguments, and its surroundings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A process to start, described by an adapter and started by the worker that will own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The program: a path, or a name that is looked up in the host's `PATH`.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables to set, over what is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// Whether nothing is inherited from the host's environment.
    pub clear_env: bool,
    /// Its working directory; `None`: the host's.
    pub cwd: Option<PathBuf>,
    /// What connects it with its adapter.
    pub wire: Wire,
}

impl ProcessSpec {
    /// A program without arguments that inherits the host's environment and directory and has no wire.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            clear_env: false,
            cwd: None,
            wire: Wire::None,
        }
    }
}

/// What connects a process with its adapter, beside its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Nothing: the adapter finds another way.
    None,
    /// Two pipes: the process reads from the host on file descriptor 3 and writes to it on 4.
    Pipes,
}

/// The host's ends of [`Wire::Pipes`].
#[derive(Debug)]
pub struct WirePipes {
    /// What is written here arrives at the process.
    pub to_worker: OwnedFd,
    /// What the process writes arrives here.
    pub from_worker: OwnedFd,
}
