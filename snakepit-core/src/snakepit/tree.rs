//! The supervision tree for people and programs: who stands under whom, and which process each worker has.

use std::fmt;

use serde::Serialize;
use snakepit_supervisor::{ChildState, ChildType, TreeNode};

use crate::snakepit::handle::Pit;
use crate::worker::WorkerStatus;

/// One actor of the supervision tree, with those below it. Printed, it is a tree of lines.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Tree {
    /// Its name among its siblings.
    pub id: String,
    /// Whether it supervises others.
    pub kind: ChildType,
    /// Whether it runs.
    pub state: ChildState,
    /// How often its supervisor has restarted it.
    pub restarts: u64,
    /// What it says of itself, where it is a worker.
    pub worker: Option<WorkerStatus>,
    /// Those it supervises.
    pub children: Vec<Tree>,
}

impl Tree {
    pub(super) async fn of(pit: &Pit) -> Option<Self> {
        let root = pit.root.snapshot().await.ok()?;
        let mut workers = Vec::new();
        for (pool, _) in pit.pools.values() {
            workers.extend(pool.workers().await.unwrap_or_default());
        }
        Some(Self::join(root, &workers))
    }

    fn join(node: TreeNode, workers: &[WorkerStatus]) -> Self {
        let id = node.id.to_string();
        Self {
            worker: workers.iter().find(|worker| worker.id == id).cloned(),
            id,
            kind: node.kind,
            state: node.state,
            restarts: node.restarts,
            children: node.children.into_iter().map(|child| Self::join(child, workers)).collect(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, branch: &str, indent: &str) -> fmt::Result {
        write!(f, "{branch}{}", self.id)?;
        if let Some(worker) = &self.worker {
            write!(f, "  incarnation {}, {}", worker.incarnation, phase(worker))?;
            match worker.os_pid {
                Some(pid) => write!(f, ", pid {pid}")?,
                None => write!(f, ", no process")?,
            }
        }
        match self.restarts {
            0 => {}
            1 => write!(f, ", 1 restart")?,
            many => write!(f, ", {many} restarts")?,
        }
        writeln!(f)?;
        for (place, child) in self.children.iter().enumerate() {
            let last = place + 1 == self.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            child.write(f, &format!("{indent}{branch}"), &format!("{indent}{below}"))?;
        }
        Ok(())
    }
}

fn phase(worker: &WorkerStatus) -> String {
    format!("{:?}", worker.phase).to_lowercase()
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "", "")
    }
}
