//! The task that follows one life of one child from its spawn to the moment when nothing of it is left.
//!
//! Its last act is a notice to the supervisor, so a successor never overlaps with what it succeeds: the handler of the
//! dead actor is dropped by then and, if it was a supervisor, all that was below it is gone.

use std::pin::pin;
use std::time::Duration;

use ractor::{ActorRef, SpawnErr};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use crate::actor::message::{Descendants, Notice, Reading, SupervisorMessage};
use crate::core::message::Life;
use crate::error::StartFailure;
use crate::offspring::{Birth, Descendant};

/// Where a supervisor's tasks post their notices.
///
/// A box of its own beside the mailbox: ractor closes the mailbox of an actor that is in `post_stop`, and that is
/// when a stopping supervisor needs to hear of its children's ends.
#[derive(Clone)]
pub(crate) struct Outbox {
    pub(crate) notices: mpsc::UnboundedSender<Notice>,
    pub(crate) supervisor: ActorRef<SupervisorMessage>,
}

impl Outbox {
    pub(crate) fn post(&self, notice: Notice) {
        if self.notices.send(notice).is_ok() {
            // In `post_stop` the mailbox is closed, and the box is read without it.
            _ = self.supervisor.cast(SupervisorMessage::NoticesPosted);
        }
    }
}

/// What a life's task needs beside the child itself.
pub(crate) struct Bond {
    pub(crate) outbox: Outbox,
    /// Closed when the supervisor is gone.
    pub(crate) alive: watch::Receiver<()>,
    /// Keeps the supervisor's lineage open as long as this life lasts.
    pub(crate) lineage: Option<mpsc::Sender<Descendant>>,
    /// How long descendants are waited for.
    pub(crate) kill_grace: Duration,
}

/// Follows one life to its end, and brings that end about when the supervisor is gone.
///
/// ractor kills the linked children of a dead actor, but not those that are starting, and not those that are already
/// in `post_stop`, however long that takes.
pub(crate) async fn follow(life: Life, birth: Birth, bond: Bond) {
    let Bond { outbox, mut alive, lineage, kill_grace } = bond;
    let cell = birth.cell.clone();
    let mut course = pin!(run(life, birth, outbox, kill_grace));
    tokio::select! {
        biased;
        () = &mut course => {}
        _ = alive.changed() => {
            cell.kill();
            course.await;
        }
    }
    drop(lineage);
}

async fn run(life: Life, birth: Birth, outbox: Outbox, kill_grace: Duration) {
    let Birth { start, boot, lineage: descendants, .. } = birth;
    match up(start.await, boot).await {
        Ok(task) => {
            outbox.post(Notice::ChildStarted { life });
            let descendants = end(Some(task), descendants, kill_grace).await;
            outbox.post(Notice::ChildEnded { life, descendants, reading: Reading::First });
        }
        Err((failure, task)) => {
            _ = end(task, descendants, kill_grace).await;
            outbox.post(Notice::ChildNotStarted { life, failure });
        }
    }
}

type Started = Result<Result<JoinHandle<()>, SpawnErr>, JoinError>;

/// Waits until a child is up: its `pre_start` is done and, if it is a supervisor, its children are up.
async fn up(
    started: Started,
    boot: Option<oneshot::Receiver<Result<(), StartFailure>>>,
) -> Result<JoinHandle<()>, (StartFailure, Option<JoinHandle<()>>)> {
    let mut task = match started {
        Ok(Ok(task)) => task,
        Ok(Err(error)) => return Err((StartFailure::from_spawn(error), None)),
        Err(error) => return Err((StartFailure::from_error(Box::new(error)), None)),
    };
    let Some(boot) = boot else { return Ok(task) };
    let booted = tokio::select! {
        biased;
        booted = boot => booted.unwrap_or(Err(StartFailure::Stopped)),
        _ = &mut task => return Err((StartFailure::Stopped, None)),
    };
    match booted {
        Ok(()) => Ok(task),
        Err(failure) => Err((failure, Some(task))),
    }
}

/// Waits until the actor's task has ended, its handler included, and everything below it, too.
async fn end(
    task: Option<JoinHandle<()>>,
    descendants: Option<mpsc::Receiver<Descendant>>,
    kill_grace: Duration,
) -> Descendants {
    if let Some(task) = task {
        // An aborted task is as gone as one that ended.
        _ = task.await;
    }
    let Some(mut descendants) = descendants else { return Descendants::Gone };
    match timeout(kill_grace, descendants.recv()).await {
        Ok(_) => Descendants::Gone,
        Err(_) => Descendants::Left,
    }
}
