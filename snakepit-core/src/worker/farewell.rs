//! What a worker's end owes to others, whichever way it ends: its process killed, its pool told. Its record is taken out
//! by whoever sees that nothing is left of its process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::error::{LossCause, WorkerLoss};
use crate::id::WorkerLife;
use crate::pool::{PoolShared, WorkerReport};
use crate::process::{OsProcess, StderrTail, StopOutcome};
use crate::process_registry::ProcessRegistryRef;
use crate::telemetry::Event;

/// Everything that must not outlive the worker's actor.
///
/// It lies in the actor's handler and not in its state, because a handler is dropped with the actor, while a state lives
/// on in the supervisor's mailbox until it is read there.
#[derive(Debug)]
pub(super) struct Farewell {
    life: WorkerLife,
    pool: Arc<PoolShared>,
    registry: ProcessRegistryRef,
    seat: Seat,
    belongings: Mutex<Belongings>,
}

/// Where a boot puts the process that it has started, and where the end takes it from: whichever comes second sees to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat(Arc<Mutex<Sitting>>);

#[derive(Debug, Default)]
enum Sitting {
    #[default]
    Empty,
    Taken(Box<OsProcess>),
    Closed,
}

impl Seat {
    /// Hands a process over. Where the end has come before it, the process is dropped, which kills its tree.
    pub(super) fn put(&self, process: OsProcess) {
        let mut sitting = self.lock();
        if let Sitting::Empty = &*sitting {
            *sitting = Sitting::Taken(Box::new(process));
        }
    }

    fn look<R>(&self, look: impl FnOnce(&mut OsProcess) -> R) -> Option<R> {
        match &mut *self.lock() {
            Sitting::Taken(process) => Some(look(process)),
            Sitting::Empty | Sitting::Closed => None,
        }
    }

    /// Takes the process out. No other is taken in after this.
    fn close(&self) -> Option<OsProcess> {
        match std::mem::replace(&mut *self.lock(), Sitting::Closed) {
            Sitting::Taken(process) => Some(*process),
            Sitting::Empty | Sitting::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sitting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Belongings {
    stderr: Option<StderrTail>,
    /// Resolves when nothing is left of what the boot has started, also where it never got as far as a process.
    gone: Option<oneshot::Receiver<()>>,
    tasks: Vec<JoinHandle<()>>,
    /// Whether the pool needs no telling: it has been told, or it asked for the end itself.
    said: bool,
}

impl Farewell {
    pub(super) fn new(life: WorkerLife, pool: Arc<PoolShared>, registry: ProcessRegistryRef) -> Self {
        Self { life, pool, registry, seat: Seat::default(), belongings: Mutex::default() }
    }

    /// A task that ends with the worker.
    pub(super) fn keep_task(&self, task: JoinHandle<()>) {
        self.with(|belongings| belongings.tasks.push(task));
    }

    /// The boot begins, and with it what may have to be waited for.
    pub(super) fn keep_boot(&self, boot: JoinHandle<()>, gone: oneshot::Receiver<()>) {
        self.with(|belongings| belongings.gone = Some(gone));
        self.keep_task(boot);
    }

    /// Waits until nothing is left of what the boot has started. A start that was cut short leaves its shim to end by
    /// itself, which takes a moment.
    ///
    /// Says whether it is so; `false`: the tree, or its adapter's cleaning up after it, takes longer.
    pub(super) async fn until_gone(&self, patience: Duration) -> bool {
        match self.with(|belongings| belongings.gone.take()) {
            Some(gone) => timeout(patience, gone).await.is_ok(),
            None => true,
        }
    }

    /// Where the boot puts the process that ends with the worker.
    pub(super) fn seat(&self) -> Seat {
        self.seat.clone()
    }

    /// Keeps what a process last wrote to stderr.
    pub(super) fn keep_stderr(&self, stderr: StderrTail) {
        self.with(|belongings| belongings.stderr = Some(stderr));
    }

    /// Looks at the process, if there is one.
    pub(super) fn process<R>(&self, look: impl FnOnce(&mut OsProcess) -> R) -> Option<R> {
        self.seat.look(look)
    }

    /// Takes the process out for good, to stop it or to see it off.
    pub(super) fn take_process(&self) -> Option<OsProcess> {
        self.seat.close()
    }

    /// Ends the tasks: nothing more is started for this worker.
    pub(super) fn stop_tasks(&self) {
        self.with(|belongings| belongings.tasks.drain(..).for_each(|task| task.abort()));
    }

    /// The end was asked for; the process is told next.
    pub(super) fn say_stopping(&self) {
        self.registry.stopping(self.life.clone());
    }

    /// The end was asked for and has come. The record of what is gone is waited for, because the registry may be stopped
    /// next; what is not gone keeps its record until whoever sees it off takes that out.
    pub(super) async fn say_stopped(&self, outcome: StopOutcome, is_gone: bool) {
        self.pool.emit(Event::WorkerStopped { worker: self.life.clone(), outcome });
        self.with(|belongings| belongings.said = true);
        if is_gone {
            self.registry.release_and_wait(self.life.clone()).await;
        }
    }

    /// The process does not go. Its record stays, for the next start to find.
    pub(super) fn say_stuck(&self) {
        self.pool.emit(Event::WorkerUnstoppable { worker: self.life.clone() });
        self.with(|belongings| belongings.said = true);
        self.registry.stuck(self.life.clone(), "it does not go even when killed".to_owned());
    }

    /// The end was not asked for. The record goes when the process has.
    pub(super) fn say_lost(&self, cause: LossCause) -> Arc<WorkerLoss> {
        let stderr_tail = self.with(|belongings| {
            belongings.said = true;
            belongings.stderr.as_ref().map(StderrTail::lines).unwrap_or_default()
        });
        let loss = Arc::new(WorkerLoss { life: self.life.clone(), cause, stderr_tail });
        self.pool.lost(&loss, Instant::now());
        let WorkerLoss { life: worker, cause, stderr_tail } = (*loss).clone();
        self.pool.emit(Event::WorkerLost { worker, cause, stderr_tail });
        self.pool.reporter().worker(WorkerReport::Lost { loss: Arc::clone(&loss) });
        loss
    }

    fn with<R>(&self, change: impl FnOnce(&mut Belongings) -> R) -> R {
        change(&mut self.belongings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.stop_tasks();
        // Dropping the process kills its tree.
        drop(self.take_process());
        if !self.with(|belongings| belongings.said) {
            self.say_lost(LossCause::ActorEnded);
        }
    }
}

#[cfg(test)]
pub(crate) mod scenes {
    use super::*;

    /// A worker whose process does not go, which no test can make, is told of.
    pub(crate) fn play(pool: Arc<PoolShared>, registry: ProcessRegistryRef, life: WorkerLife) {
        Farewell::new(life, pool, registry).say_stuck();
    }
}
