//! What a pool has done so far.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::error::ExecuteError;
use crate::pool::roster::RosterCounts;

/// A pool's workers and requests, counted since the pit started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// How many workers the pool is to have.
    pub size: u16,
    /// How many slots there are: those of `size`, those that are about to take over from others, and those that retire.
    pub total: usize,
    /// Workers that could take a request now.
    pub available: usize,
    /// Workers that are fully taken.
    pub busy: usize,
    /// Slots whose worker boots.
    pub starting: usize,
    /// Slots that gave up: they are tried again later, unless they were given up for good.
    pub quarantined: usize,
    /// Slots whose workers take no more requests, finish those they have, and leave: slots that are to go, and those of
    /// workers that declined a request and wait to be replaced.
    pub retiring: usize,
    /// Requests that wait for a worker.
    pub waiting: usize,
    /// Places that callers have reserved and not used yet. They count as requests that wait.
    pub reserved: usize,
    /// Requests that a worker has, those whose caller no longer waits included.
    pub running: usize,
    /// Requests admitted or refused.
    pub requests: u64,
    /// Requests answered by a worker.
    pub succeeded: u64,
    /// Requests that ended in an error, of whatever kind. Together with `succeeded` and those under way: all requests.
    pub failed: u64,
    /// The same by the error's [`code`](crate::ExecuteError::code).
    pub failed_by_code: BTreeMap<&'static str, u64>,
    /// Requests refused because the pool was saturated.
    pub saturated: u64,
    /// Requests whose caller stopped waiting.
    pub cancelled: u64,
    /// Requests whose deadline passed before a worker had them.
    pub timed_out_waiting: u64,
    /// Requests whose deadline passed while a worker had them.
    pub timed_out_running: u64,
    /// Requests whose worker ended, and that were not tried again, or not with success.
    pub workers_lost: u64,
    /// How often a request was tried again because its worker was lost.
    pub retried: u64,
    /// How many of all requests were streams.
    pub streams: u64,
    /// Requests that went to their session's worker.
    pub affinity_hits: u64,
    /// Requests that went to another worker because their session's was taken.
    pub affinity_misses: u64,
    /// Requests whose session had lost its worker.
    pub affinity_resets: u64,
    /// Sessions that had to make room for others: the table was at its `session_limit`.
    pub sessions_evicted: u64,
    /// How often requests waited beside free workers until the pool noticed and mended it. Anything but 0 is a fault of
    /// this library.
    pub stalls: u64,
    /// Lives that ended unasked.
    pub restarts: u64,
    /// Workers from which others have taken over.
    pub recycled: u64,
    /// When this was counted, in milliseconds since 1970.
    pub updated_unix_ms: u64,
}

/// The counters behind [`PoolStats`].
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: u64,
    pub(super) streams: u64,
    pub(super) succeeded: u64,
    pub(super) retried: u64,
    pub(super) restarts: u64,
    pub(super) recycled: u64,
    pub(super) affinity_hits: u64,
    pub(super) affinity_misses: u64,
    pub(super) affinity_resets: u64,
    pub(super) sessions_evicted: u64,
    pub(super) stalls: u64,
    failed_by_code: BTreeMap<&'static str, u64>,
    timed_out_running: u64,
    /// How long a request runs, the latest counting most.
    run_time: Option<Duration>,
}

impl Counters {
    /// Counts a request that ended in an error.
    pub(super) fn count_error(&mut self, error: &ExecuteError) {
        *self.failed_by_code.entry(error.code()).or_default() += 1;
        self.timed_out_running +=
            u64::from(matches!(error, ExecuteError::DeadlineExceeded { running: true, .. }));
    }

    /// Counts requests that were refused before anybody looked at them.
    pub(super) fn count_refused(&mut self, error: &ExecuteError, count: u64) {
        self.requests += count;
        *self.failed_by_code.entry(error.code()).or_default() += count;
    }

    pub(super) fn count_run(&mut self, ran: Duration) {
        self.run_time = Some(self.run_time.map_or(ran, |mean| (mean * 7 + ran) / 8));
    }

    /// When a refused caller is likely to find room: after the time that those who wait need on `places` workers.
    pub(super) fn retry_after(&self, waiting: usize, places: usize) -> Duration {
        const LEAST: Duration = Duration::from_millis(10);
        const MOST: Duration = Duration::from_secs(30);
        let rounds = u32::try_from((waiting / places.max(1)).saturating_add(1)).unwrap_or(u32::MAX);
        self.run_time.unwrap_or(LEAST).saturating_mul(rounds).clamp(LEAST, MOST)
    }

    pub(super) fn stats(&self, size: u16, roster: RosterCounts, waiting: usize, running: usize) -> PoolStats {
        let failed =
            |codes: &[&str]| codes.iter().filter_map(|code| self.failed_by_code.get(code)).sum::<u64>();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        PoolStats {
            size,
            total: roster.total,
            available: roster.available,
            busy: roster.busy,
            starting: roster.starting,
            quarantined: roster.quarantined,
            retiring: roster.retiring,
            waiting,
            // Counted where they outlive the pool's actor.
            reserved: 0,
            running,
            requests: self.requests,
            succeeded: self.succeeded,
            failed: self.failed_by_code.values().sum(),
            failed_by_code: self.failed_by_code.clone(),
            saturated: failed(&["saturated"]),
            cancelled: failed(&["cancelled"]),
            timed_out_waiting: failed(&["deadline_exceeded"]) - self.timed_out_running,
            timed_out_running: self.timed_out_running,
            workers_lost: failed(&["worker_lost", "protocol_error", "poisoned"]),
            stalls: self.stalls,
            retried: self.retried,
            streams: self.streams,
            affinity_hits: self.affinity_hits,
            affinity_misses: self.affinity_misses,
            affinity_resets: self.affinity_resets,
            sessions_evicted: self.sessions_evicted,
            restarts: self.restarts,
            recycled: self.recycled,
            updated_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_counted_once_as_what_it_is() {
        let mut counters = Counters::default();
        let late = |running| ExecuteError::DeadlineExceeded { running, timeout: Duration::ZERO };
        let other = ExecuteError::InvalidArgument { message: String::new() };
        for error in [ExecuteError::Cancelled, late(true), late(false), late(true), other] {
            counters.count_error(&error);
        }
        let stats = counters.stats(0, RosterCounts::default(), 0, 0);
        assert_eq!((stats.failed, stats.cancelled, stats.saturated), (5, 1, 0));
        assert_eq!((stats.timed_out_waiting, stats.timed_out_running), (1, 2));
        let by_code = [("cancelled", 1), ("deadline_exceeded", 3), ("invalid_argument", 1)];
        assert_eq!(stats.failed_by_code, by_code.into());
    }

    #[test]
    fn a_refused_caller_is_told_how_long_the_line_takes() {
        let mut counters = Counters::default();
        assert_eq!(counters.retry_after(100, 4), Duration::from_millis(260));
        counters.count_run(Duration::from_millis(100));
        assert_eq!(counters.retry_after(8, 4), Duration::from_millis(300));
        counters.count_run(Duration::from_millis(900));
        assert_eq!(counters.retry_after(0, 4), Duration::from_millis(200));
        assert_eq!(counters.retry_after(usize::MAX, 1), Duration::from_secs(30));
    }
}
