//! The end of a call for its caller: counted, measured, traced, in one place.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::pool::actor::PoolState;
use crate::pool::in_flight::{Flight, Run, Stage};
use crate::pool::message::{PoolMessage, PoolTimer};
use crate::pool::shared::PoolShared;
use crate::pool::statistics::Counters;
use crate::telemetry::{CallFigure, Event, PoolGauges};
use crate::timer::Timer;

/// How old the gauges may be.
const GAUGES_AFTER: Duration = Duration::from_secs(1);

/// Where calls are accounted for.
#[derive(Debug)]
pub(super) struct Accounts {
    pool: Arc<PoolShared>,
    /// Held, so that they ring; `None` where nothing has happened since the last time, or nothing is told.
    gauges: Option<Timer>,
    statistics: Option<Timer>,
}

/// A call that is over for its caller.
#[derive(Debug)]
pub(super) struct CallEnd<'a> {
    pub(super) id: RequestId,
    /// Where it ran, where its flight no longer says.
    pub(super) run: Option<Run>,
    pub(super) error: Option<&'a ExecuteError>,
    pub(super) now: Instant,
}

impl Accounts {
    pub(super) fn new(pool: Arc<PoolShared>) -> Self {
        Self { pool, gauges: None, statistics: None }
    }

    /// Accounts for a call.
    pub(super) fn close(&mut self, counters: &mut Counters, flight: &mut Flight, end: &CallEnd<'_>) {
        let CallEnd { id, run, error, now } = *end;
        let outcome = error.map_or("ok", ExecuteError::code);
        match error {
            None => counters.succeeded += 1,
            Some(error) => counters.count_error(error),
        }
        let run = run.or(match flight.stage {
            Stage::Running(run) => Some(run),
            Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) | Stage::Abandoned { .. } => None,
        });
        let (waited, ran) = times(flight.accepted, run, now);
        let timed_out = matches!(error, Some(ExecuteError::DeadlineExceeded { .. }));
        self.pool.figures().call(CallFigure { command: &flight.command, outcome, waited, ran, timed_out });
        flight.spans.end(outcome);
        if self.pool.options.telemetry.enabled {
            // What stands here is looked at only where somebody listens.
            tracing::debug!(
                target: "snakepit::calls",
                pool = %self.pool.name,
                request = id.0,
                command = &*flight.command,
                bytes = flight.size,
                outcome,
                ?waited,
                ran = ran.map(debug),
                session = flight.session.as_ref().map(display),
                worker = run.map(|run| display(self.pool.life(run.life))),
                "call ended"
            );
        }
    }
}

/// How long a call waited for a worker, and how long one had it.
fn times(accepted: Instant, run: Option<Run>, now: Instant) -> (Duration, Option<Duration>) {
    match run {
        Some(run) => {
            let waited = run.since.saturating_duration_since(accepted);
            (waited, Some(now.saturating_duration_since(run.since)))
        }
        None => (now.saturating_duration_since(accepted), None),
    }
}

impl PoolState {
    /// Accounts for a call that leaves the pool.
    pub(super) fn call_ends(
        &mut self,
        id: RequestId,
        flight: &mut Flight,
        run: Option<Run>,
        error: Option<&ExecuteError>,
        now: Instant,
    ) {
        self.accounts.close(&mut self.counters, flight, &CallEnd { id, run, error, now });
    }

    /// This life of the pool is over: what it had is accounted for, and the next life counts on.
    pub(super) fn close_accounts(&mut self) {
        let gone = self.args.shared.cut_off();
        for id in self.in_flight.ids() {
            let Some(mut flight) = self.in_flight.remove(id) else { continue };
            if !matches!(flight.stage, Stage::Abandoned { .. }) {
                let error = if flight.is_awaited() { &gone } else { &ExecuteError::Cancelled };
                self.call_ends(id, &mut flight, None, Some(error), Instant::now());
            }
        }
        self.args.shared.keep_counters(std::mem::take(&mut self.counters));
    }

    /// Something has happened: the gauges are brought up to date before long.
    pub(super) fn gauge_soon(&mut self) {
        if self.args.shared.options.telemetry.enabled && self.accounts.gauges.is_none() {
            let due = PoolMessage::Timer(PoolTimer::GaugesDue);
            self.accounts.gauges = Some(Timer::after(GAUGES_AFTER, &self.myself, due));
        }
    }

    pub(super) fn gauges_due(&mut self) {
        self.accounts.gauges = None;
        let counts = self.roster.counts();
        self.args.shared.figures().gauge(&PoolGauges {
            size: usize::from(self.args.shared.plan().size()),
            available: counts.available,
            busy: counts.busy,
            starting: counts.starting,
            quarantined: counts.quarantined,
            retiring: counts.retiring,
            waiting: self.waiting(),
            running: self.in_flight.running(),
        });
    }

    /// Begins to tell the statistics every so often.
    pub(super) fn tell_statistics_later(&mut self) {
        let telemetry = self.args.shared.options.telemetry;
        if telemetry.enabled {
            let due = PoolMessage::Timer(PoolTimer::StatisticsDue);
            self.accounts.statistics = Some(Timer::after(telemetry.interval, &self.myself, due));
        }
    }

    pub(super) fn statistics_due(&mut self) {
        let (pool, stats) = (self.args.shared.name.clone(), Box::new(self.stats()));
        self.args.shared.emit(Event::PoolStatistics { pool, stats });
        self.tell_statistics_later();
    }
}
