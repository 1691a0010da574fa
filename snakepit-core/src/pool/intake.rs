//! Whether a pool takes requests. It outlives the pool's actor: a pool that is drained stays so over its restarts.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const OPEN: u8 = 0;
const DRAINING: u8 = 1;
const DRAINED: u8 = 2;

/// The way into a pool. Read for every request.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    stage: AtomicU8,
    /// Requests answered since it was closed.
    finished: AtomicUsize,
}

impl Intake {
    /// Whether the pool takes no requests.
    pub(super) fn is_closed(&self) -> bool {
        self.stage.load(Ordering::Acquire) != OPEN
    }

    /// Whether something may be left of what had been let in.
    pub(super) fn is_draining(&self) -> bool {
        self.stage.load(Ordering::Acquire) == DRAINING
    }

    /// Lets no more requests in. Returns whether it did before.
    pub(super) fn close(&self) -> bool {
        let closed = self.changed(OPEN, DRAINING);
        if closed {
            self.finished.store(0, Ordering::Relaxed);
        }
        closed
    }

    /// Lets requests in again. Returns whether it did not before.
    pub(super) fn open(&self) -> bool {
        self.stage.swap(OPEN, Ordering::AcqRel) != OPEN
    }

    /// Nothing is left of what had been let in. Returns whether this is news.
    pub(super) fn emptied(&self) -> bool {
        self.changed(DRAINING, DRAINED)
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        if self.is_closed() {
            self.finished.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were answered since it was closed.
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Relaxed)
    }

    fn changed(&self, from: u8, to: u8) -> bool {
        self.stage.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_news_once() {
        let intake = Intake::default();
        assert!(!intake.is_closed() && !intake.emptied() && !intake.open());
        assert_eq!([intake.close(), intake.close(), intake.is_draining()], [true, false, true]);
        assert_eq!([intake.emptied(), intake.emptied(), intake.is_draining()], [true, false, false]);
        assert!(intake.is_closed());
        assert!(!intake.close(), "it is closed already");
        assert_eq!([intake.open(), intake.open(), intake.is_closed()], [true, false, false]);
        assert!(intake.close() && intake.open(), "also before it is empty");
    }

    #[test]
    fn what_is_answered_counts_from_its_closing() {
        let intake = Intake::default();
        intake.answered();
        intake.close();
        assert_eq!(intake.finished(), 0);
        intake.answered();
        intake.emptied();
        assert_eq!(intake.finished(), 1);
        intake.open();
        intake.close();
        assert_eq!(intake.finished(), 0);
    }
}
