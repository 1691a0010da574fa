//! The requests that a worker has: which wait, which run, which are cancelled, and the credit of its streams.

use std::collections::VecDeque;
use std::sync::Arc;

use snakepit_core::adapter::{IdMap, StreamWindow};
use tokio::time::Instant;

use crate::port::credit::Credit;
use crate::port::frame::{Kind, ProtocolError, REQUESTS_LIMIT, ReceivedRequest};
use crate::worker::beginning::Expectations;
use crate::worker::session::SessionState;

/// A request with all that its handler needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) asked_by: Kind,
    pub(super) request: ReceivedRequest,
    pub(super) deadline: Option<Instant>,
    pub(super) session: Option<Arc<SessionState>>,
    /// Whether the host has heard that it begins.
    pub(super) told: bool,
}

#[derive(Debug)]
struct UnderWay {
    cancelled: bool,
    credit: Credit,
}

/// What to do about a request that has come.
#[must_use = "a request that is not kept must be answered"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrivalVerdict {
    /// It waits for its turn.
    Waits,
    /// The worker takes no more work: answer `draining`.
    RefuseDraining,
}

/// What to do about a cancel.
#[must_use = "a request that is taken back must be answered"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelVerdict {
    /// It had not begun and never will: answer `cancelled`.
    TakenBack,
    /// It runs: its handler is told.
    Told,
    /// It is answered, or was never asked.
    Nothing,
}

/// Whether a chunk may be sent.
#[must_use = "a chunk without credit is a breach"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkVerdict {
    Send,
    AwaitCredit,
    Cancelled,
}

#[derive(Debug)]
pub(super) struct Requests {
    threads: usize,
    waiting: VecDeque<Box<Job>>,
    under_way: IdMap<u64, UnderWay>,
    running: usize,
    draining: bool,
}

impl Requests {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, waiting: VecDeque::new(), under_way: IdMap::default(), running: 0, draining: false }
    }

    /// Takes a request in.
    pub(super) fn arrive(
        &mut self,
        job: Box<Job>,
        credit: Option<StreamWindow>,
    ) -> Result<ArrivalVerdict, ProtocolError> {
        if self.under_way.contains_key(&job.id) {
            return Err(ProtocolError::DuplicateRequest { kind: job.asked_by, id: job.id });
        }
        if self.under_way.len() >= usize::from(REQUESTS_LIMIT) {
            return Err(ProtocolError::TooManyRequests { limit: REQUESTS_LIMIT });
        }
        if self.draining {
            return Ok(ArrivalVerdict::RefuseDraining);
        }
        let credit = Credit::new(credit.unwrap_or(StreamWindow { chunks: 0, bytes: 0 }));
        self.under_way.insert(job.id, UnderWay { cancelled: false, credit });
        self.waiting.push_back(job);
        Ok(ArrivalVerdict::Waits)
    }

    /// The next request to run, if a thread may run one.
    pub(super) fn begin(&mut self) -> Option<Box<Job>> {
        if self.running >= self.threads {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.running += 1;
        Some(job)
    }

    /// Marks those that begin together with one that begins now, of which the host has not heard. Their numbers, its own first.
    /// Where several run at once each begins alone: another thread could answer one before the host has heard of it.
    #[must_use = "the host must hear of them before the first runs"]
    pub(super) fn begin_together(&mut self, first: &Job, expectations: &Expectations) -> Vec<u64> {
        let more = if self.threads > 1 {
            0
        } else {
            expectations.together(first, self.waiting.iter().map(|job| &**job))
        };
        let more = self.waiting.iter_mut().take(more).map(|job| {
            job.told = true;
            job.id
        });
        std::iter::once(first.id).chain(more).collect()
    }

    /// A request that ran is answered.
    pub(super) fn finish(&mut self, id: u64) {
        self.under_way.remove(&id);
        self.running -= 1;
    }

    pub(super) fn cancel(&mut self, id: u64) -> CancelVerdict {
        let Some(under_way) = self.under_way.get_mut(&id) else { return CancelVerdict::Nothing };
        if let Some(at) = self.waiting.iter().position(|job| job.id == id) {
            self.waiting.remove(at);
            self.under_way.remove(&id);
            return CancelVerdict::TakenBack;
        }
        under_way.cancelled = true;
        CancelVerdict::Told
    }

    /// Tells every handler to stop: nobody will read an answer.
    pub(super) fn cancel_all(&mut self) {
        self.under_way.values_mut().for_each(|under_way| under_way.cancelled = true);
    }

    pub(super) fn is_cancelled(&self, id: u64) -> bool {
        self.under_way.get(&id).is_none_or(|under_way| under_way.cancelled)
    }

    pub(super) fn grant(&mut self, id: u64, more: StreamWindow) {
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.credit.give(more);
        }
    }

    /// Takes credit for a chunk with a body of that length.
    pub(super) fn chunk(&mut self, id: u64, body_len: usize) -> ChunkVerdict {
        match self.under_way.get_mut(&id) {
            Some(under_way) if !under_way.cancelled => match under_way.credit.take(body_len) {
                Ok(()) => ChunkVerdict::Send,
                Err(_) => ChunkVerdict::AwaitCredit,
            },
            _ => ChunkVerdict::Cancelled,
        }
    }

    /// Takes no more requests; those that have come are finished.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Takes no more requests, and gives back those that have not begun, to be answered `draining`.
    #[must_use = "requests that never run must be answered"]
    pub(super) fn terminate(&mut self) -> Vec<u64> {
        self.draining = true;
        let ids: Vec<u64> = self.waiting.drain(..).map(|job| job.id).collect();
        for id in &ids {
            self.under_way.remove(id);
        }
        ids
    }

    /// Whether nothing is left to do, and nothing more will be taken.
    pub(super) fn is_drained(&self) -> bool {
        self.draining && self.under_way.is_empty()
    }

    pub(super) fn is_running(&self) -> bool {
        self.running > 0
    }

    /// Whether a request waits that a thread may run.
    pub(super) fn may_begin(&self) -> bool {
        self.running < self.threads && !self.waiting.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use snakepit_core::Payload;

    pub(in crate::worker) fn job(id: u64, asked_by: Kind, command: &str) -> Job {
        let request = ReceivedRequest {
            time_left: None,
            command: command.into(),
            session: None,
            traceparent: None,
            metadata: Vec::new(),
            payload: Payload::bytes(""),
        };
        Job { id, asked_by, request, deadline: None, session: None, told: false }
    }

    fn stream(id: u64) -> Box<Job> {
        Box::new(job(id, Kind::ExecuteStream, "x"))
    }

    fn with(ids: impl IntoIterator<Item = u64>) -> Requests {
        let mut requests = Requests::new(1);
        for id in ids {
            let window = Some(StreamWindow { chunks: 1, bytes: 10 });
            assert_eq!(requests.arrive(stream(id), window), Ok(ArrivalVerdict::Waits));
        }
        requests
    }

    #[test]
    fn no_more_run_than_there_are_threads_for() {
        let mut requests = with([1, 2]);
        assert_eq!(requests.begin().unwrap().id, 1);
        assert!(requests.begin().is_none() && !requests.may_begin());
        requests.finish(1);
        assert!(requests.may_begin());
        assert_eq!(requests.begin().unwrap().id, 2);
    }

    #[test]
    fn one_that_was_said_to_begin_is_known_as_that_and_still_waits() {
        let mut requests = Requests::new(1);
        for id in 1..=3 {
            assert_eq!(
                requests.arrive(Box::new(job(id, Kind::Execute, "x")), None),
                Ok(ArrivalVerdict::Waits)
            );
        }
        let none_takes_time = Expectations::new([]);
        let first = requests.begin().unwrap();
        assert_eq!(requests.begin_together(&first, &none_takes_time), [1, 2, 3]);
        assert_eq!(requests.cancel(2), CancelVerdict::TakenBack);
        requests.finish(1);
        let third = requests.begin().unwrap();
        assert!((third.id, third.told) == (3, true), "{third:?}");
    }

    /// Two threads: the other one took what this one had marked, and answered it before this one had said that it begins.
    #[test]
    fn where_several_run_at_once_each_begins_alone() {
        let mut requests = Requests::new(2);
        for id in 1..=4 {
            let arrived = requests.arrive(Box::new(job(id, Kind::Execute, "x")), None);
            assert_eq!(arrived, Ok(ArrivalVerdict::Waits));
        }
        let first = requests.begin().unwrap();
        assert_eq!(requests.begin_together(&first, &Expectations::new([])), [1]);
        let second = requests.begin().unwrap();
        assert!((second.id, second.told) == (2, false), "{second:?}");
    }

    #[test]
    fn an_id_under_way_and_a_request_too_many_are_breaches() {
        let mut requests = with(1..=4096);
        let twice = ProtocolError::DuplicateRequest { kind: Kind::ExecuteStream, id: 1 };
        assert_eq!(requests.arrive(stream(1), None), Err(twice));
        assert_eq!(requests.arrive(stream(5000), None), Err(ProtocolError::TooManyRequests { limit: 4096 }));
    }

    #[test]
    fn a_cancel_takes_back_what_waits_and_tells_what_runs() {
        let mut requests = with([1, 2]);
        let _running = requests.begin();
        assert_eq!(requests.cancel(1), CancelVerdict::Told);
        assert_eq!(requests.cancel(2), CancelVerdict::TakenBack);
        assert_eq!(requests.cancel(3), CancelVerdict::Nothing);
        assert!(requests.is_cancelled(1));
        assert_eq!(requests.chunk(1, 1), ChunkVerdict::Cancelled);
        assert!(!requests.may_begin());
    }

    #[test]
    fn a_chunk_waits_for_credit() {
        let mut requests = with([1]);
        let _running = requests.begin();
        assert_eq!(requests.chunk(1, 5), ChunkVerdict::Send);
        assert_eq!(requests.chunk(1, 5), ChunkVerdict::AwaitCredit);
        requests.grant(1, StreamWindow { chunks: 1, bytes: 0 });
        assert_eq!(requests.chunk(1, 5), ChunkVerdict::Send);
    }

    #[test]
    fn drain_finishes_what_has_come_and_terminate_only_what_runs() {
        let mut requests = with([1, 2]);
        let _running = requests.begin();
        requests.drain();
        assert_eq!(requests.arrive(stream(3), None), Ok(ArrivalVerdict::RefuseDraining));
        assert!(!requests.is_drained());
        assert_eq!(requests.terminate(), [2]);
        assert!(!requests.is_drained());
        requests.finish(1);
        assert!(requests.is_drained());
    }
}
