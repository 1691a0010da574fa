//! How firmly workers are held: what the system under us makes possible, found out at the start and never assumed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How firmly a pit holds its workers' processes. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainmentLevel {
    /// The host itself kills a worker's process group when it drops the worker. A host that is killed cannot; what it
    /// leaves is ended by the next start, as far as the system shows it.
    InProcess,
    /// A process beside the host kills the groups when the host is gone. What leaves its group stays.
    ///
    /// Meant for Unixes without subreapers; not reached by this version.
    Group,
    /// A shim for each worker holds the whole tree, whatever it forks and wherever it hides, and ends it when the host is
    /// gone in any way. Linux, without privileges. Where the shim itself is killed, its worker goes with it and the rest is
    /// found by its mark, except what has left the worker's group and cleared its environment.
    Tree,
    /// The kernel itself holds the tree, in a control group or a PID namespace, also when host and shim are killed at
    /// once.
    ///
    /// Not reached by this version, so that requiring it refuses the start.
    Kernel,
}

impl fmt::Display for ContainmentLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProcess => "in_process",
            Self::Group => "group",
            Self::Tree => "tree",
            Self::Kernel => "kernel",
        })
    }
}

/// What was found out about containment when the pit started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Containment {
    level: ContainmentLevel,
    shortfall: Option<String>,
}

impl Containment {
    pub(crate) fn tree() -> Self {
        Self { level: ContainmentLevel::Tree, shortfall: None }
    }

    pub(crate) fn in_process(why: impl Into<String>) -> Self {
        Self { level: ContainmentLevel::InProcess, shortfall: Some(why.into()) }
    }

    /// How firmly workers are held.
    pub fn level(&self) -> ContainmentLevel {
        self.level
    }

    /// Why no firmer, where [`ContainmentLevel::Tree`] was not reached.
    pub fn shortfall(&self) -> Option<&str> {
        self.shortfall.as_deref()
    }
}

/// What a start of a process has come to. See [`SnakepitBuilder::observe_spawns`](crate::SnakepitBuilder::observe_spawns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnStep {
    /// The shim's process has been made.
    ShimSpawned,
    /// The shim has said hello.
    HelloReceived,
    /// The intent to start has been written down, and would survive the host.
    IntentCommitted,
    /// The shim has been told to go.
    GoSent,
    /// The worker's program runs.
    Started,
    /// The registry has been told which process it is.
    Activated,
}
