//! The signs of life of one worker, and what it has in hand.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The signs of life of one worker. Written on the hot path, read by the worker's heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    signs: AtomicU64,
    running: AtomicU32,
    served: AtomicU64,
    failed: AtomicU64,
    /// What its processes had resident when they were last looked at, in bytes; 0: nobody has looked.
    rss: AtomicU64,
    takes_no_more: AtomicBool,
    ready_since: OnceLock<Instant>,
}

/// A request on its way into the hands of a worker. Dropped before it is there, as by a panic of an adapter's own message
/// type, it is not the worker's: the next life of the pool would wait for ever for its end.
#[derive(Debug)]
#[must_use = "a handover that is not done is not counted"]
pub(crate) struct Handover<'a>(&'a Vitals);

impl Handover<'_> {
    /// It is there.
    pub(crate) fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

impl Vitals {
    /// Something came from the worker.
    pub(crate) fn sign(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// How much has come from the worker so far.
    pub(crate) fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// The worker is about to be handed a request. Counted before it is: the worker may be done before its pool is.
    pub(crate) fn begin(&self) -> Handover<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Handover(self)
    }

    pub(crate) fn ended(&self, succeeded: bool) {
        self.one_less();
        let counter = if succeeded { &self.served } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn one_less(&self) {
        // An adapter that reports one request twice must not make the count wrap.
        let _ = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// What the worker's processes have resident was looked at.
    pub(crate) fn measured(&self, rss_bytes: u64) {
        self.rss.store(rss_bytes, Ordering::Relaxed);
    }

    /// What the worker's processes had resident when they were last looked at.
    pub(crate) fn rss(&self) -> Option<u64> {
        Some(self.rss.load(Ordering::Relaxed)).filter(|rss| *rss > 0)
    }

    /// How long the worker has been ready. Counted from the first call, which the first life of its pool makes at once.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.ready_since.get_or_init(|| now))
    }

    /// The worker has declined a request, and takes none for as long as it lives.
    pub(crate) fn declined(&self) {
        self.takes_no_more.store(true, Ordering::Relaxed);
    }

    /// Whether the worker has said to any life of its pool that it takes no more requests.
    pub(crate) fn takes_no_more(&self) -> bool {
        self.takes_no_more.load(Ordering::Relaxed)
    }

    /// Requests answered, and requests that failed.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.served.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}
