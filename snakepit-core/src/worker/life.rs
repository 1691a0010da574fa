//! A worker's life: boot, readiness, death, farewell.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{DoNotRestart, ExitReason};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::adapter::{AdapterFailure, AdapterMessage, AdapterRef, AdapterReports, Connected};
use crate::error::LossCause;
use crate::pool::{Vitals, WorkerReport};
use crate::process::{OsProcess, StopOutcome, TreeEnd, TreeState};
use crate::telemetry::Event;
use crate::timer::Timer;
use crate::worker::actor::{Worker, WorkerArgs, WorkerExit};
use crate::worker::boot::Boot;
use crate::worker::heartbeat::Heartbeat;
use crate::worker::message::WorkerMessage;
use crate::worker::phase::{Alive, Phase, PhaseEvent, PhaseVerdict};
use crate::worker::reports::LifeReports;
use crate::worker::status::{StatusReport, WorkerPhase};

/// A worker at work.
pub(crate) struct WorkerState {
    pub(super) args: WorkerArgs,
    pub(super) myself: ActorRef<WorkerMessage>,
    pub(super) phase: Phase,
    /// When it got into that phase.
    phase_began: Instant,
    born: Instant,
    pub(super) vitals: Arc<Vitals>,
    process: Option<ProcessView>,
    /// The adapter actor, from its handshake until its end.
    adapter: Option<Connected>,
    /// The adapter actor as it is linked, also while it shakes hands.
    pub(super) linked: Option<ActorCell>,
    pub(super) heartbeat: Heartbeat,
    /// Held, so that it rings; `None` while nobody listens for a heartbeat.
    pub(super) heartbeat_timer: Option<Timer>,
    /// A look at the memory of its processes that is under way, or was the last.
    pub(super) measuring: Option<tokio::task::JoinHandle<()>>,
    /// The one reminder that is under way: the end of the startup, or of the farewell.
    reminder: Option<Timer>,
}

/// What the worker remembers of its process when it looks no more.
#[derive(Clone, Copy)]
struct ProcessView {
    pid: i32,
    running: bool,
}

impl WorkerState {
    pub(super) fn new(args: WorkerArgs, myself: ActorRef<WorkerMessage>) -> Self {
        let startup = Timer::after(args.pool.options.startup_timeout, &myself, WorkerMessage::StartupElapsed);
        Self {
            args,
            myself,
            phase: Phase::Booting,
            phase_began: Instant::now(),
            born: Instant::now(),
            vitals: Arc::default(),
            process: None,
            adapter: None,
            linked: None,
            heartbeat: Heartbeat::default(),
            heartbeat_timer: None,
            measuring: None,
            reminder: Some(startup),
        }
    }

    pub(super) fn begin_boot(&self, worker: &Worker) {
        let life = worker.life.clone();
        let pool = self.args.pool.reporter();
        self.args.pool.emit(Event::WorkerBooting { worker: life.clone() });
        pool.worker(WorkerReport::Booting { life: life.clone(), worker: self.myself.clone() });
        let (vitals, output) = (Arc::clone(&self.vitals), Arc::clone(&worker.output));
        let sink = LifeReports { life: life.clone(), pool, vitals, output };
        let (gone, until_gone) = oneshot::channel();
        let boot = Boot {
            life,
            adapter: Arc::clone(&self.args.adapter),
            data_dir: self.args.data_dir.clone(),
            registry: self.args.registry.clone(),
            launcher: self.args.launcher.clone(),
            stop_grace: self.args.pool.options.stop_grace,
            reports: AdapterReports::new(Arc::new(sink)),
            payload_limit: self.args.pool.options.payload_limit,
            wants_started: self.args.pool.options.prefetch > 0,
            worker: self.myself.clone(),
            seat: worker.farewell.seat(),
            gone: Some(gone),
        };
        worker.farewell.keep_boot(tokio::spawn(boot.run()), until_gone);
    }

    /// Announces this worker again to every later life of the pool.
    pub(super) fn follow_pool(&self, worker: &Worker) {
        let mut changes = self.args.pool.reporter().pool_changes();
        changes.mark_unchanged();
        let myself = self.myself.clone();
        worker.farewell.keep_task(tokio::spawn(async move {
            while changes.changed().await.is_ok() && myself.cast(WorkerMessage::PoolChanged).is_ok() {}
        }));
    }

    pub(super) fn process_started(&mut self, worker: &Worker) -> PhaseVerdict {
        let output = Arc::clone(&worker.output);
        let looked = worker.farewell.process(|process| {
            let drained = process.drain_output(move |stream, line| output.printed(stream, &line));
            (process.pid(), process.stderr_tail(), process.ended(), drained)
        });
        // It has been taken already: the worker is at its end.
        let Some((pid, stderr, ended, drained)) = looked else { return PhaseVerdict::Stay };
        self.process = Some(ProcessView { pid, running: true });
        worker.farewell.keep_stderr(stderr);
        let myself = self.myself.clone();
        worker.farewell.keep_task(tokio::spawn(async move {
            ended.await;
            let _ = myself.cast(WorkerMessage::ProcessEnded);
        }));
        match drained {
            Ok(()) => PhaseVerdict::Stay,
            Err(error) => {
                let message = format!("its output cannot be read: {error}");
                self.event(PhaseEvent::Condemned { cause: LossCause::SpawnFailed { message } })
            }
        }
    }

    pub(super) fn boot_finished(&mut self, worker: &Worker, connected: Connected) -> PhaseVerdict {
        if self.phase != Phase::Booting {
            return PhaseVerdict::Stay;
        }
        self.phase = Phase::Ready;
        self.phase_began = Instant::now();
        self.reminder = None;
        self.args.pool.emit(Event::WorkerReady {
            worker: worker.life.clone(),
            os_pid: self.process.map(|process| process.pid),
            agent: connected.agent.clone(),
            took: self.born.elapsed(),
        });
        self.adapter = Some(connected);
        self.begin_heartbeat();
        self.announce(worker)
    }

    pub(super) fn announce(&mut self, worker: &Worker) -> PhaseVerdict {
        let pool = self.args.pool.reporter();
        match (&self.phase, &self.adapter) {
            (Phase::Ready, Some(connected)) => pool.worker(WorkerReport::Ready {
                life: worker.life.clone(),
                worker: self.myself.clone(),
                adapter: connected.adapter.clone(),
                capacity: connected.capacity,
                tells_started: connected.tells_started,
                vitals: Arc::clone(&self.vitals),
            }),
            _ => {
                pool.worker(WorkerReport::Booting { life: worker.life.clone(), worker: self.myself.clone() });
            }
        }
        PhaseVerdict::Stay
    }

    pub(super) fn startup_elapsed(&mut self) -> PhaseVerdict {
        if self.phase != Phase::Booting {
            return PhaseVerdict::Stay;
        }
        let limit = self.args.pool.options.startup_timeout;
        self.event(PhaseEvent::Condemned { cause: LossCause::StartupTimeout { limit } })
    }

    pub(super) fn process_ended(&mut self, worker: &Worker) -> PhaseVerdict {
        let Some(process) = &mut self.process else { return PhaseVerdict::Stay };
        process.running = false;
        let cause = match worker.farewell.process(|process| process.state()) {
            Some(TreeState::Exited(exit) | TreeState::Gone(TreeEnd::Ended { exit: Some(exit) })) => {
                LossCause::ProcessExited { exit }
            }
            Some(TreeState::Unstoppable) => LossCause::Unstoppable { pid: process.pid },
            _ => LossCause::ShimLost,
        };
        self.event(PhaseEvent::ProcessEnded { cause })
    }

    pub(super) fn adapter_ended(&mut self, cell: &ActorCell, reason: &ExitReason) -> PhaseVerdict {
        if self.linked.as_ref().is_none_or(|linked| linked.get_id() != cell.get_id()) {
            return PhaseVerdict::Stay;
        }
        self.linked = None;
        let failure = reason
            .downcast_ref::<AdapterFailure>()
            .cloned()
            .unwrap_or_else(|| AdapterFailure::Failed { what: reason.to_string() });
        self.event(PhaseEvent::AdapterEnded { failure })
    }

    pub(super) fn event(&mut self, event: PhaseEvent) -> PhaseVerdict {
        let alive = Alive {
            process: self.process.is_some_and(|process| process.running),
            adapter: self.linked.is_some(),
        };
        let was_dying = self.phase.is_dying();
        let verdict = self.phase.on(event, alive);
        if self.phase.is_dying() && !was_dying {
            self.phase_began = Instant::now();
        }
        verdict
    }

    pub(super) async fn carry_out(
        &mut self,
        worker: &Worker,
        verdict: PhaseVerdict,
    ) -> Result<(), ActorProcessingErr> {
        match verdict {
            PhaseVerdict::Stay => Ok(()),
            PhaseVerdict::AwaitFarewell { within } => {
                self.remind(within);
                Ok(())
            }
            PhaseVerdict::Kill { within } => {
                worker.farewell.process(|process| process.kill());
                self.remind(within);
                Ok(())
            }
            PhaseVerdict::End { cause } => Err(self.end(worker, cause).await),
        }
    }

    fn remind(&mut self, within: Duration) {
        self.heartbeat_timer = None;
        self.reminder = Some(Timer::after(within, &self.myself, WorkerMessage::FarewellElapsed));
    }

    /// The life is over: sees the process off, tells the pool, and asks the Starter for the next life.
    async fn end(&mut self, worker: &Worker, cause: LossCause) -> ActorProcessingErr {
        worker.farewell.stop_tasks();
        let cause = match worker.farewell.take_process() {
            Some(process) => self.see_off(worker, process, cause).await,
            None => cause,
        };
        worker.output.ended();
        self.until_gone(worker).await;
        let is_fatal = self.is_fatal(&cause);
        let exit = WorkerExit { loss: worker.farewell.say_lost(cause) };
        if is_fatal { Box::new(DoNotRestart::new(exit)) } else { Box::new(exit) }
    }

    /// Ends what is left of a process, and waits for it: whatever it held, such as a port, is free before the next life.
    async fn see_off(&self, worker: &Worker, mut process: OsProcess, cause: LossCause) -> LossCause {
        let pid = process.pid();
        let end = process.end(self.args.pool.options.kill_grace).await;
        if process.finish_output().await {
            warn!(worker = %worker.life, "the output of a worker that is gone is held open by somebody else");
        }
        if end.is_some() {
            return cause;
        }
        worker.farewell.say_stuck();
        LossCause::Unstoppable { pid }
    }

    /// Waits until nothing is left of what was started, and the adapter has cleaned up after it.
    async fn until_gone(&self, worker: &Worker) -> bool {
        let is_gone = worker.farewell.until_gone(self.args.pool.options.kill_grace).await;
        if !is_gone {
            warn!(worker = %worker.life, "what a worker left is still being seen off");
        }
        is_gone
    }

    fn is_fatal(&self, cause: &LossCause) -> bool {
        // Another start beside what is left could only make it worse.
        self.args.pool.options.restart.is_fatal(cause) || matches!(cause, LossCause::Unstoppable { .. })
    }

    pub(super) fn adapter_ref(&self) -> Option<&AdapterRef> {
        self.adapter.as_ref().map(|connected| &connected.adapter)
    }

    pub(super) fn status(&self, worker: &Worker) -> StatusReport {
        let (served, failed) = self.vitals.totals();
        StatusReport {
            incarnation: worker.life.incarnation,
            phase: match self.phase {
                Phase::Booting => WorkerPhase::Booting,
                Phase::Ready => WorkerPhase::Ready,
                Phase::Dying { .. } => WorkerPhase::Dying,
            },
            os_pid: self.process.map(|process| process.pid),
            in_phase: self.phase_began.elapsed(),
            uptime: self.born.elapsed(),
            usage: worker.farewell.process(|process| process.usage()),
            agent: self.adapter.as_ref().map(|connected| connected.agent.clone()),
            served,
            failed,
        }
    }

    /// The end was asked for: TERM, grace, KILL.
    pub(super) async fn stop(&mut self, worker: &Worker) {
        worker.farewell.stop_tasks();
        if let Some(adapter) = self.adapter_ref() {
            adapter.tell(AdapterMessage::Drain);
        }
        // A worker without a process has left with its adapter.
        let mut outcome = StopOutcome::Left;
        if let Some(mut process) = worker.farewell.take_process() {
            worker.farewell.say_stopping();
            let options = &self.args.pool.options;
            let patience_over =
                stop_patience(self.args.pool.stop_by_changes(), options.stop_grace, options.kill_grace);
            outcome = process.stop(patience_over, options.kill_grace).await;
            self.args.pool.stopped(outcome);
            if outcome == StopOutcome::Stuck {
                worker.farewell.say_stuck();
                return;
            }
            if process.finish_output().await {
                warn!(worker = %worker.life, "the output of a worker that is gone is held open by somebody else");
            }
        }
        worker.output.ended();
        let is_gone = self.until_gone(worker).await;
        worker.farewell.say_stopped(outcome, is_gone).await;
    }
}

/// Resolves when a process that was asked to leave has had its time: `grace`, or less where a shutdown must be over
/// earlier.
async fn stop_patience(mut stop_by: watch::Receiver<Option<Instant>>, grace: Duration, kill_grace: Duration) {
    let asked = Instant::now();
    loop {
        let limit = *stop_by.borrow_and_update();
        let at =
            limit.map_or(asked + grace, |limit| (limit - kill_grace.min(limit - asked)).min(asked + grace));
        tokio::select! {
            () = sleep_until(at) => return,
            Ok(()) = stop_by.changed() => {}
        }
    }
}
