//! What to run: a program, its arguments, and its surroundings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// What a worker's OOM score is raised to: it goes before its host, and not before what is worse.
const OOM_SCORE: u16 = 500;

/// A process to start, described by an adapter and started by the worker that will own it.
///
/// The fields from `user` on need the shim, which sets them between its fork and the program's start; without one
/// ([`ContainmentLevel::InProcess`](crate::ContainmentLevel::InProcess)) a spec that asks for them is refused, except for
/// the default of `oom_score_adj`, which is then not set.
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
    /// Who is asked to leave when the worker is stopped.
    pub term: TermTarget,
    /// As whom it runs; `None`: as the host. Needs the right to change users, and then the right to signal that user's
    /// processes, or nothing could end it.
    pub user: Option<UserIds>,
    /// Its priority, from -20 (first) to 19 (last); `None`: the host's. Below the host's needs privileges.
    pub nice: Option<i32>,
    /// The least `oom_score_adj` it has, up to 1000; one that is higher already stays. Default 500: where memory runs
    /// out, a worker goes before its host. `None`: the host's.
    pub oom_score_adj: Option<u16>,
    /// Limits on what it may use.
    pub limits: Vec<ResourceLimit>,
    /// How long it may take to leave by itself once its host is gone without a farewell. Default zero: it is killed at
    /// once, so that the host's successor finds nothing.
    pub orphan_grace: Duration,
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
            term: TermTarget::default(),
            user: None,
            nice: None,
            oom_score_adj: Some(OOM_SCORE),
            limits: Vec::new(),
            orphan_grace: Duration::ZERO,
        }
    }

    /// What only a shim can set, where the spec asks for it.
    pub(super) fn needs_shim(&self) -> Option<&'static str> {
        let asked = [
            (self.user.is_some(), "user"),
            (self.nice.is_some(), "nice"),
            (!self.limits.is_empty(), "limits"),
            (self.oom_score_adj.is_some_and(|score| score != OOM_SCORE), "oom_score_adj"),
        ];
        asked.into_iter().find_map(|(asked, name)| asked.then_some(name))
    }
}

/// Whom a polite end is asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermTarget {
    /// The worker's own process, which sees its children off itself.
    #[default]
    Main,
    /// Every process of the worker's group: for a worker behind a shell that does not pass signals on.
    Group,
}

/// What connects a process with its adapter, beside its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Nothing: the adapter finds another way.
    None,
    /// Two pipes: the process reads from the host on file descriptor 3 and writes to it on 4.
    Pipes,
    /// The same two pipes on 0 and 1, for a program that cannot use others. Only what it prints to stderr is captured.
    Stdio,
}

/// The host's ends of [`Wire::Pipes`] and [`Wire::Stdio`].
#[derive(Debug)]
pub struct WirePipes {
    /// What is written here arrives at the process.
    pub to_worker: OwnedFd,
    /// What the process writes arrives here.
    pub from_worker: OwnedFd,
}

/// A user, by number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserIds {
    /// The user.
    pub uid: u32,
    /// The user's first group.
    pub gid: u32,
    /// The user's further groups, 1024 at most; with more of them nothing is started.
    #[serde(default)]
    pub groups: Vec<u32>,
}

/// A limit on one resource (`setrlimit(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// Which resource.
    pub resource: Resource,
    /// What the process may use, in the resource's unit; `None`: without limit.
    pub soft: Option<u64>,
    /// What it may raise that to; `None`: without limit. Above the host's own needs privileges.
    pub hard: Option<u64>,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a core dump.
    CoreSize,
    /// Seconds of processor time.
    CpuTime,
    /// Bytes of any file that it writes.
    FileSize,
    /// Open files.
    OpenFiles,
    /// Processes and threads of its user.
    Processes,
    /// Bytes of stack.
    Stack,
}

#[cfg(target_os = "linux")]
impl Resource {
    /// The system's number for it, which a shim is told.
    pub(super) fn number(self) -> u32 {
        use nix::libc;
        // The type of these constants differs between C libraries; all are small and positive.
        #[expect(clippy::unnecessary_cast, reason = "see above")]
        match self {
            Self::AddressSpace => libc::RLIMIT_AS as u32,
            Self::CoreSize => libc::RLIMIT_CORE as u32,
            Self::CpuTime => libc::RLIMIT_CPU as u32,
            Self::FileSize => libc::RLIMIT_FSIZE as u32,
            Self::OpenFiles => libc::RLIMIT_NOFILE as u32,
            Self::Processes => libc::RLIMIT_NPROC as u32,
            Self::Stack => libc::RLIMIT_STACK as u32,
        }
    }
}
