//! How a worker watches whether its process lives: it asks for signs, and carries out what its heartbeat finds.

use std::sync::Arc;

use crate::adapter::AdapterMessage;
use crate::error::LossCause;
use crate::process::TreeUsage;
use crate::timer::Timer;
use crate::worker::actor::Worker;
use crate::worker::heartbeat::{Beat, HeartbeatVerdict};
use crate::worker::life::WorkerState;
use crate::worker::message::WorkerMessage;
use crate::worker::phase::{Phase, PhaseEvent, PhaseVerdict};

impl WorkerState {
    /// Watches from now on.
    pub(super) fn begin_heartbeat(&mut self) {
        self.heartbeat.begin(self.vitals.signs());
        self.await_heartbeat();
    }

    /// Asks for a sign of life, and looks whether one has come when the time is over.
    fn await_heartbeat(&mut self) {
        let every = self.args.pool.options.heartbeat.interval;
        self.heartbeat_timer = Some(Timer::after(every, &self.myself, WorkerMessage::HeartbeatDue));
        if let Some(adapter) = self.adapter_ref() {
            // An adapter that has ended says so by its own end. One that cannot be told misses a heartbeat.
            adapter.tell(AdapterMessage::Ping);
        }
    }

    pub(super) fn heartbeat_due(&mut self, worker: &Worker) -> PhaseVerdict {
        if self.phase != Phase::Ready {
            return PhaseVerdict::Stay;
        }
        self.measure(worker);
        let verdict = self.heartbeat.on_beat(self.beat());
        self.carry_on(worker, verdict)
    }

    /// What the processes of a busy worker use has been read.
    pub(super) fn usage_read(&mut self, worker: &Worker, usage: Option<TreeUsage>) -> PhaseVerdict {
        if self.phase != Phase::Ready {
            return PhaseVerdict::Stay;
        }
        let verdict = self.heartbeat.on_usage(self.beat(), usage.map(|usage| usage.cpu_time));
        self.carry_on(worker, verdict)
    }

    fn beat(&self) -> Beat {
        Beat {
            signs: self.vitals.signs(),
            running: self.vitals.running(),
            limit: self.args.pool.options.heartbeat.misses,
        }
    }

    fn carry_on(&mut self, worker: &Worker, verdict: HeartbeatVerdict) -> PhaseVerdict {
        match verdict {
            HeartbeatVerdict::Alive => {
                self.await_heartbeat();
                PhaseVerdict::Stay
            }
            HeartbeatVerdict::ReadUsage => {
                self.read_usage(worker);
                PhaseVerdict::Stay
            }
            HeartbeatVerdict::Unresponsive { misses } => {
                self.event(PhaseEvent::Condemned { cause: LossCause::Unresponsive { misses } })
            }
        }
    }

    /// Has the memory of the worker's processes looked at, where there is a limit to it. One look at a time.
    fn measure(&mut self, worker: &Worker) {
        if self.args.pool.options.recycle.max_rss.is_none()
            || self.measuring.as_ref().is_some_and(|measuring| !measuring.is_finished())
        {
            return;
        }
        let usage = self.args.launcher.read_usage(worker.farewell.process(|process| process.usage()));
        let vitals = Arc::clone(&self.vitals);
        self.measuring = Some(tokio::spawn(async move {
            if let Some(usage) = usage.await {
                vitals.measured(usage.rss_bytes);
            }
        }));
    }

    /// Has the usage read in a task: a look at a large tree takes its time, and the worker may be stopped meanwhile. The
    /// next beat comes after the answer.
    fn read_usage(&self, worker: &Worker) {
        let usage = self.args.launcher.read_usage(worker.farewell.process(|process| process.usage()));
        let myself = self.myself.clone();
        tokio::spawn(async move {
            let usage = usage.await;
            // A worker that has ended meanwhile does not care.
            let _ = myself.cast(WorkerMessage::UsageRead { usage });
        });
    }
}
