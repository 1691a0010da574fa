//! How others hold a supervisor: by a handle that is valid before its start and over its restarts.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ractor::{ActorCell, ActorId, ActorRef, ActorStatus};
use tokio::sync::{oneshot, watch};

use crate::actor::message::{Question, Request, SupervisorMessage};
use crate::child::{ChildId, ChildSettings, ChildSpec, ChildType};
use crate::error::{
    DeleteChildError, Gone, RestartChildError, StartChildError, StillRunning, TerminateChildError,
};
use crate::exit::SHUTDOWN;
use crate::explain::Explanation;
use crate::offspring::StartInfo;
use crate::tree::{ChildState, TreeNode};

/// Where the present actor of a supervisor is written down.
pub(crate) type Address = Arc<watch::Sender<Option<ActorCell>>>;

/// A supervisor's entry in its address; gone when the supervisor is.
pub(crate) struct AddressEntry {
    address: Weak<watch::Sender<Option<ActorCell>>>,
    me: ActorId,
}

impl AddressEntry {
    pub(crate) fn new(address: &Address, me: ActorCell) -> Self {
        let entry = Self { address: Arc::downgrade(address), me: me.get_id() };
        address.send_replace(Some(me));
        entry
    }
}

impl Drop for AddressEntry {
    fn drop(&mut self) {
        if let Some(address) = self.address.upgrade() {
            // A successor may already stand there.
            address.send_if_modified(|entry| {
                let mine = entry.as_ref().is_some_and(|cell| cell.get_id() == self.me);
                if mine {
                    *entry = None;
                }
                mine
            });
        }
    }
}

/// A child that a call has started.
#[derive(Clone)]
pub struct StartedChild {
    /// The actor that it is.
    pub cell: ActorCell,
    /// What its factory handed over: see [`Offspring::with_info`](crate::Offspring::with_info).
    pub info: Option<StartInfo>,
}

impl fmt::Debug for StartedChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedChild").field("cell", &self.cell).finish_non_exhaustive()
    }
}

/// Which child a call means.
#[derive(Clone, Debug)]
pub enum ChildTarget {
    /// By its id. Where several have it, the oldest.
    Id(ChildId),
    /// By the actor that it is, or was before the restart that it waits for.
    Cell(ActorCell),
}

impl From<&ChildId> for ChildTarget {
    fn from(id: &ChildId) -> Self {
        Self::Id(id.clone())
    }
}

impl From<ChildId> for ChildTarget {
    fn from(id: ChildId) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for ChildTarget {
    fn from(id: &str) -> Self {
        Self::Id(id.into())
    }
}

impl From<&ActorCell> for ChildTarget {
    fn from(cell: &ActorCell) -> Self {
        Self::Cell(cell.clone())
    }
}

impl From<ActorCell> for ChildTarget {
    fn from(cell: ActorCell) -> Self {
        Self::Cell(cell)
    }
}

/// One child, as `which_children` tells it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildSummary {
    /// Its id.
    pub id: ChildId,
    /// What it is doing.
    pub state: ChildState,
    /// The actor that it is just now.
    pub cell: Option<ActorCell>,
    /// Worker or supervisor.
    pub kind: ChildType,
}

/// How many children there are of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// All, running or not.
    pub specs: usize,
    /// Those that are up.
    pub active: usize,
    /// Those that are supervisors, running or not.
    pub supervisors: usize,
    /// Those that are workers, running or not.
    pub workers: usize,
}

/// What all supervisors' handles can do.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) id: ChildId,
    pub(crate) address: watch::Receiver<Option<ActorCell>>,
}

/// How long a snapshot may take; whoever has not answered by then is drawn as silent.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(2);

impl Handle {
    pub(crate) fn cell(&self) -> Option<ActorCell> {
        self.address.borrow().clone().filter(|cell| cell.get_status() < ActorStatus::Stopped)
    }

    pub(crate) fn stop(&self, reason: Option<String>) {
        if let Some(cell) = self.cell() {
            let supervisor = ActorRef::<SupervisorMessage>::from(cell);
            // Where the message is refused, it is stopping already.
            _ = supervisor.cast(SupervisorMessage::ShutDown { reason });
        }
    }

    pub(crate) async fn wait(&self, limit: Option<Duration>) -> Result<(), StillRunning> {
        match self.cell() {
            None => Ok(()),
            Some(cell) => {
                cell.wait(limit).await.map_err(|_| StillRunning { limit: limit.unwrap_or_default() })
            }
        }
    }

    /// Stops it within a time: asked first, then killed.
    pub(crate) async fn shut_down(&self, limit: Duration) -> Result<(), StillRunning> {
        let Some(cell) = self.cell() else { return Ok(()) };
        self.stop(Some(SHUTDOWN.to_owned()));
        cell.wait(Some(limit)).await.map_err(|_| {
            cell.kill();
            StillRunning { limit }
        })
    }

    pub(crate) async fn changed(&mut self) -> Option<ActorCell> {
        // The address closes when its supervisor can never be started again.
        self.address.changed().await.ok()?;
        self.cell()
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> SupervisorMessage) -> Result<T, Gone> {
        let cell = self.cell().ok_or(Gone)?;
        let (reply, mut answer) = oneshot::channel();
        ActorRef::<SupervisorMessage>::from(cell.clone()).cast(ask(reply)).map_err(|_| Gone)?;
        // A dead actor's state, and with it our port, may be kept for a while inside an unread event.
        tokio::select! {
            biased;
            answer = &mut answer => answer.map_err(|_| Gone),
            _ = cell.wait(None) => answer.try_recv().map_err(|_| Gone),
        }
    }

    pub(crate) async fn snapshot(&self) -> Result<TreeNode, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetSnapshot { within: SNAPSHOT_LIMIT, reply }))
            .await
    }

    pub(crate) async fn which_children(&self) -> Result<Vec<ChildSummary>, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetChildren { reply })).await
    }

    pub(crate) async fn count_children(&self) -> Result<ChildCounts, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetCounts { reply })).await
    }

    pub(crate) async fn which_child(&self, target: ChildTarget) -> Result<Option<ChildSummary>, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetChild { target, reply })).await
    }

    pub(crate) async fn explain(&self, target: ChildTarget) -> Result<Option<Explanation>, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetExplanation { target, reply })).await
    }

    pub(crate) async fn effort(&self) -> Result<u64, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetEffort { reply })).await
    }

    pub(crate) async fn get_childspec(&self, id: ChildId) -> Result<Option<ChildSettings>, Gone> {
        self.ask(|reply| SupervisorMessage::Question(Question::GetSettings { id, reply })).await
    }

    pub(crate) async fn start_child(&self, spec: ChildSpec) -> Result<Option<StartedChild>, StartChildError> {
        let spec = Box::new(spec);
        self.ask(|reply| SupervisorMessage::Request(Request::Start { spec, reply })).await?
    }

    pub(crate) async fn terminate_child(&self, target: ChildTarget) -> Result<(), TerminateChildError> {
        self.ask(|reply| SupervisorMessage::Request(Request::Terminate { target, reply })).await?
    }

    pub(crate) async fn restart_child(&self, id: ChildId) -> Result<Option<StartedChild>, RestartChildError> {
        self.ask(|reply| SupervisorMessage::Request(Request::Restart { id, reply })).await?
    }

    pub(crate) async fn delete_child(&self, id: ChildId) -> Result<(), DeleteChildError> {
        self.ask(|reply| SupervisorMessage::Request(Request::Delete { id, reply })).await?
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("cell", &self.cell()).finish_non_exhaustive()
    }
}
