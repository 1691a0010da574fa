//! What the pool, its workers and its callers say on the stage, and whether it may be so.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::adapter::AdapterMessage;
use crate::error::{DrainError, ExecuteError};
use crate::pool::message::Life;
use crate::pool::tests::model::callers::{Call, Heard};
use crate::pool::tests::model::stage::Stage;
use crate::pool::tests::model::workers::{Production, Task, Worker};
use crate::worker::WorkerPhase;

impl Stage {
    /// Lets time pass, and keeps book.
    pub(super) async fn let_happen(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        while let Ok(end) = self.bench.lives.try_recv() {
            self.workers.push(Worker::new(end));
        }
        let ready = self.ready_lives().await;
        self.sessions.keep(&ready);
        for worker in 0..self.workers.len() {
            while self.workers[worker].end.has_more() {
                let message = self.workers[worker].end.next().await;
                self.hear(worker, message, &ready);
            }
            let (has, most) = (self.workers[worker].has.len(), self.setting.capacity + self.setting.prefetch);
            assert!(has <= usize::from(most), "a worker for {most} has {has}");
        }
        self.hear_answers(&ready).await;
        // Whoever waited for a place has used it by now.
        let held = self.bench.pool.shared().reservations.held();
        assert_eq!(held, self.permits.len(), "a place is held by nobody, or by two");
        self.see_off();
        self.hear_drains().await;
    }

    /// A worker is told something.
    fn hear(&mut self, worker: usize, message: AdapterMessage, ready: &HashSet<Life>) {
        let worker = &mut self.workers[worker];
        let (id, request, stream) = match message {
            AdapterMessage::Execute { id, request, .. } => (id, request, None),
            AdapterMessage::ExecuteStream { id, request, chunks, .. } => {
                (id, request, Some(Production::new(chunks)))
            }
            AdapterMessage::Credit { id, chunks, bytes } => return worker.credit(id, chunks, bytes),
            AdapterMessage::Cancel { id } => {
                let has = worker.cancel(id);
                assert!(has || self.was_killed, "{id} was cancelled where nobody has it");
                return;
            }
            AdapterMessage::EndSession { .. } => return,
            other => panic!("nobody asked for {other:?}"),
        };
        let call: usize = request.command.parse().unwrap();
        worker.has.push(Task { id, call, begun: false, is_cancelled: false, stream });
        let life = worker.life();
        let Call { wish, given, task, is_shut_out, .. } = &mut self.calls[call];
        assert!(task.is_some(), "nobody waits for it, and it runs");
        assert!(!*is_shut_out, "it came to a pool that was drained");
        given.to(life, *wish);
        if let Some(session) = wish.session {
            self.sessions.given(session, life, ready);
        }
    }

    /// The lives that take requests.
    async fn ready_lives(&self) -> HashSet<Life> {
        let workers = self.bench.pool.workers().await.unwrap_or_default();
        let ready = workers.into_iter().filter(|worker| worker.phase == WorkerPhase::Ready);
        ready.map(|worker| Life { slot: worker.slot, incarnation: worker.incarnation }).collect()
    }

    /// Workers that have left as they were asked to had nothing that anybody waits for.
    fn see_off(&mut self) {
        for mut worker in std::mem::take(&mut self.workers) {
            if !worker.end.has_left() {
                self.workers.push(worker);
                continue;
            }
            for task in worker.has {
                let call = &mut self.calls[task.call];
                // A reader that takes its time has not come to the end that its pool has told it.
                let is_told = task.is_cancelled || self.was_killed;
                let is_over = call.task.is_none() || call.wish.streams && is_told;
                assert!(is_over, "a worker left with a request that somebody waits for");
                call.given.now = None;
            }
        }
    }

    /// A pool that says that it is drained has nothing left to do.
    async fn hear_drains(&mut self) {
        let (ended, waiting): (Vec<_>, _) = self.drains.drain(..).partition(JoinHandle::is_finished);
        self.drains = waiting;
        for drain in ended {
            match drain.await.expect("a drain panicked") {
                Ok(_) => assert!(self.workers.iter().all(|w| w.has.is_empty()), "a drained pool is at work"),
                Err(DrainError::Resumed { .. }) => assert!(!self.is_draining, "nobody resumed it"),
                Err(DrainError::TimedOut { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    async fn hear_answers(&mut self, ready: &HashSet<Life>) {
        for number in 0..self.calls.len() {
            let Some(heard) = self.calls[number].hear(number).await else { continue };
            let Call { wish, has_place, .. } = self.calls[number];
            match heard {
                Err(ExecuteError::PoolRestarted { .. }) => {
                    assert!(self.was_killed, "the pool's own actors died of themselves");
                }
                // Which may have been the answer to the wish for a place.
                Err(ExecuteError::PoolFailed { .. } | ExecuteError::PoolDraining { .. }) => {
                    self.may_not_have_asked |= has_place;
                }
                Ok(_) | Err(_) => {}
            }
            match (wish.session, &heard) {
                (Some(session), Ok(Heard::Answer(response))) => {
                    if self.calls.iter().any(|call| call.is_unread_in(session)) {
                        self.sessions.may_begin_anew(session);
                    }
                    self.sessions.answered(session, response, ready);
                }
                (Some(session), Err(error)) => self.sessions.failed(session, error),
                (Some(_), Ok(Heard::Stream(_))) | (None, _) => {}
            }
        }
    }
}
