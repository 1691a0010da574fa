//! The end of a child: its task, its reason and its exit hook come together, and only then does the core hear of it.

use std::time::Duration;

use ractor::ActorCell;
use tokio::time::{sleep, timeout};

use crate::actor::message::{Descendants, Notice, Reading};
use crate::actor::shell::Shell;
use crate::core::message::{Event, Life};
use crate::exit::ExitReason;
use crate::offspring::ChildExit;
use crate::report::Report;

/// How long the reason of a death is waited for, once the dead child's task has ended.
const REASON_LIMIT: Duration = Duration::from_millis(100);

impl Shell {
    /// Remembers how a child ended, until the child's own task says that nothing of it is left.
    pub(super) fn note_exit(&mut self, who: &ActorCell, reason: ExitReason) {
        if let Some((life, descendants)) = self.seats.note_exit(who.get_id(), reason) {
            self.child_ended(life, descendants, Reading::First);
        }
    }

    pub(super) fn child_ended(&mut self, life: Life, descendants: Descendants, reading: Reading) {
        let supervisor = self.blueprint.id.clone();
        let deaf = self.deaf;
        self.seats.retract(life);
        let Some(seat) = self.seats.holding(life) else { return };
        let reason = seat.exit.take();
        match (&reason, reading) {
            (None, Reading::First) if !deaf => {
                seat.untold = Some(descendants);
                return self.wait_for_reason(life, descendants);
            }
            // The reason came while it was waited for, and all is done.
            (None, Reading::Last) if seat.untold.is_none() => return,
            (Some(_), _) | (None, Reading::First | Reading::Last) => seat.untold = None,
        }
        let (id, cell, hook) = (seat.id.clone(), seat.cell.clone(), seat.on_exit.clone());
        if descendants == Descendants::Left {
            let incarnation = life.incarnation;
            self.report(Report::Unstoppable { supervisor, child: id.clone(), incarnation });
        }
        let (Some(hook), Some(cell)) = (hook, cell) else { return self.step(Event::Exited { life, reason }) };
        let told = reason.clone().unwrap_or(ExitReason::Cancelled);
        let exit = ChildExit { id, incarnation: life.incarnation, cell, reason: told };
        self.handle_exit(async move { hook(exit).await }, life, reason);
    }

    /// ractor tells of a death before the child's task ends, but on a way of its own, on which others may be in front.
    /// It tells nothing of a child that is linked to us no more; that is what the limit is for.
    fn wait_for_reason(&self, life: Life, descendants: Descendants) {
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            sleep(REASON_LIMIT).await;
            outbox.post(Notice::ChildEnded { life, descendants, reading: Reading::Last });
        });
    }

    /// Runs an exit hook; only then does the core hear of the end. A hook that hangs or panics delays it no longer
    /// than a child that does not die.
    fn handle_exit(
        &self,
        hook: impl Future<Output = ()> + Send + 'static,
        life: Life,
        reason: Option<ExitReason>,
    ) {
        let (outbox, limit) = (self.outbox.clone(), self.blueprint.kill_grace);
        tokio::spawn(async move {
            let mut running = tokio::spawn(hook);
            if timeout(limit, &mut running).await.is_err() {
                running.abort();
            }
            outbox.post(Notice::ExitHandled { life, reason });
        });
    }

    /// The way out of a supervisor whose bare actor was stopped: the same closing, but nobody tells how children end.
    pub(super) async fn close_and_wait(&mut self) {
        if self.core.has_ended() {
            return;
        }
        self.deaf = true;
        self.step(Event::ShutdownRequested { reason: None });
        while !self.core.has_ended() {
            let Some(notice) = self.notices.recv().await else { return };
            self.read(notice);
        }
    }
}
