//! The end of a pool's work: no more requests, those under way finished or told.

use ractor::RpcReplyPort;
use tokio::time::Instant;

use crate::error::{AwaitReadyError, ExecuteError, RecycleError};
use crate::pool::actor::PoolState;
use crate::pool::in_flight::Stage;
use crate::pool::message::{CloseReport, PoolMessage, PoolTimer};
use crate::telemetry::Event;
use crate::timer::Timer;

/// The end of the pool's work, under way.
pub(super) struct Closing {
    pub(super) until: Instant,
    pub(super) finished: usize,
    pub(super) abandoned: usize,
    /// Whether its end has been told.
    pub(super) is_told: bool,
    pub(super) replies: Vec<RpcReplyPort<CloseReport>>,
    /// Held, so that it rings.
    pub(super) timer: Timer,
}

impl PoolState {
    /// Takes no more requests. A second call may only bring the end forward.
    pub(super) fn begin_close(&mut self, until: Instant, reply: RpcReplyPort<CloseReport>, now: Instant) {
        self.quarantines.clear();
        self.boots.give_up();
        self.substitutes.clear();
        self.put_off.clear();
        for recycling in self.recyclings.take_all() {
            recycling.answer(&Err(RecycleError::ShuttingDown { pool: self.args.shared.name.clone() }));
        }
        for (_, waiter) in self.ready_waiters.drain(..) {
            let _ = waiter.send(Err(AwaitReadyError::ShuttingDown { pool: self.args.shared.name.clone() }));
        }
        let timer = || {
            let over = PoolMessage::Timer(PoolTimer::CloseOver);
            Timer::after(until.saturating_duration_since(now), &self.myself, over)
        };
        match &mut self.closing {
            None => {
                let timer = timer();
                let (pool, under_way) = (self.args.shared.name.clone(), self.in_flight.awaited());
                self.args.shared.emit(Event::PoolDraining { pool, under_way });
                let replies = vec![reply];
                self.closing =
                    Some(Closing { until, finished: 0, abandoned: 0, is_told: false, replies, timer });
            }
            Some(closing) => {
                if until < closing.until {
                    (closing.until, closing.timer) = (until, timer());
                }
                closing.replies.push(reply);
            }
        }
    }

    /// Tells everyone who still waits that this life of the pool is over.
    pub(super) fn refuse_everything(&mut self) {
        // The workers may outlive this life of the pool, and nobody waits for what they run.
        self.cancel_everything();
        let mut abandoned = 0;
        for id in self.in_flight.ids() {
            let Some(mut flight) = self.in_flight.remove(id) else { continue };
            abandoned += usize::from(flight.is_awaited());
            let error = self.over();
            if !matches!(flight.stage, Stage::Abandoned { .. }) {
                self.call_ends(id, &mut flight, None, Some(&error), Instant::now());
            }
            flight.answer(Err(error));
        }
        if let Some(closing) = &mut self.closing {
            closing.abandoned += abandoned;
        }
        (self.routing, self.resting) = (0, 0);
        self.line.clear();
    }

    fn over(&self) -> ExecuteError {
        match self.closing {
            Some(_) => ExecuteError::ShuttingDown { pool: self.args.shared.name.clone() },
            None => self.args.shared.cut_off(),
        }
    }

    pub(super) fn finish_close_if_empty(&mut self) {
        let Some(closing) = &mut self.closing else { return };
        if closing.replies.is_empty() || self.in_flight.awaited() > 0 {
            return;
        }
        let report = CloseReport { finished: closing.finished, abandoned: closing.abandoned };
        if !closing.is_told {
            closing.is_told = true;
            let CloseReport { finished, abandoned } = report;
            let pool = self.args.shared.name.clone();
            self.args.shared.emit(Event::PoolDrained { pool, finished, abandoned });
        }
        for reply in closing.replies.drain(..) {
            let _ = reply.send(report);
        }
    }
}
