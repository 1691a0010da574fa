//! Why a pit did not start.

use std::path::PathBuf;

use crate::adapter::AdapterFailure;
use crate::error::ConfigError;
use crate::id::PoolName;
use crate::process::ContainmentLevel;

/// Why a pit did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself or leaves something out.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be made or written.
    #[error("data directory {} cannot be used: {source}", path.display())]
    DataDir {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// None was given, and none of the usual places can be used.
    #[error("no data directory can be used, and none was configured{}", listed(tried))]
    NoDataDir {
        /// The places that were tried, in order.
        tried: Vec<TriedDirectory>,
    },
    /// Another host has the data directory open.
    #[error("data directory {} is in use by the host with process id {holder}", path.display())]
    DataDirInUse {
        /// Which directory.
        path: PathBuf,
        /// The process id in its `LOCK` file, or `unknown`.
        holder: String,
    },
    /// The registry of processes cannot be opened.
    #[error("the process registry {} cannot be opened: {message}", path.display())]
    Registry {
        /// Its file.
        path: PathBuf,
        /// What the store said.
        message: String,
    },
    /// The system does not let workers be held as firmly as was required.
    #[error("containment level {required} is required, and only {found} is reached{}", because(shortfall.as_deref()))]
    Containment {
        /// What was required.
        required: ContainmentLevel,
        /// What is reached here.
        found: ContainmentLevel,
        /// Why no more.
        shortfall: Option<String>,
    },
    /// A level of containment is required, and an earlier run left processes that could not be ended.
    #[error(
        "an earlier run left {survivors} processes that cannot be ended, and {unreadable} that cannot be looked at"
    )]
    Survivors {
        /// How many were found and could not be ended.
        survivors: usize,
        /// How many may be left behind or a stranger's, which the system does not say.
        unreadable: usize,
    },
    /// The pools need more open files than this process may have.
    #[error(
        "the pools need {need} open files, and the limit is {limit}: raise it (`ulimit -n`), or let the pit raise it"
    )]
    OpenFilesLimit {
        /// How many are needed, with those that are open already.
        need: u64,
        /// The soft limit (`getrlimit(2)`, `RLIMIT_NOFILE`).
        limit: u64,
    },
    /// An adapter could not get ready what its workers need.
    #[error("pool {pool} cannot start: {source}")]
    Adapter {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        source: AdapterFailure,
    },
    /// The supervision tree could not be started.
    #[error("the supervision tree could not be started: {message}")]
    Supervision {
        /// Why.
        message: String,
    },
}

fn because(shortfall: Option<&str>) -> String {
    shortfall.map(|why| format!(": {why}")).unwrap_or_default()
}

/// A place for the data directory that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TriedDirectory {
    /// Where.
    pub path: PathBuf,
    /// What the system said.
    pub reason: String,
}

fn listed(tried: &[TriedDirectory]) -> String {
    tried
        .iter()
        .fold(String::new(), |list, tried| format!("{list}; {}: {}", tried.path.display(), tried.reason))
}

impl StartError {
    /// A stable word for programs, such as `data_dir_in_use`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::DataDir { .. } => "data_dir",
            Self::NoDataDir { .. } => "no_data_dir",
            Self::DataDirInUse { .. } => "data_dir_in_use",
            Self::Registry { .. } => "registry",
            Self::Containment { .. } => "containment",
            Self::Survivors { .. } => "survivors",
            Self::OpenFilesLimit { .. } => "open_files_limit",
            Self::Adapter { .. } => "adapter",
            Self::Supervision { .. } => "supervision",
        }
    }

    /// Whether the same start may succeed later although nobody changes anything: another host may be on its way out, and
    /// what hangs in the kernel may end yet.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::DataDirInUse { .. } | Self::Survivors { .. } => true,
            Self::Config(_)
            | Self::DataDir { .. }
            | Self::NoDataDir { .. }
            | Self::Registry { .. }
            | Self::Containment { .. }
            | Self::OpenFilesLimit { .. }
            | Self::Adapter { .. }
            | Self::Supervision { .. } => false,
        }
    }
}
