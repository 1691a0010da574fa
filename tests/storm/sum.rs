//! What the storm comes to: the callers' books held against the pools'.

use std::fmt;

use crate::books::Books;

#[derive(Debug, Default)]
pub(crate) struct Sum {
    requests: u64,
    answered: u64,
    answered_twice: u64,
    lost: u64,
    complaints: u64,
    pub(crate) leaked_slots: usize,
    pub(crate) processes_left: usize,
}

impl Sum {
    /// Every request that was sent ends once: for its caller, who heard an answer or left, and in the pool's books.
    pub(crate) fn close(&mut self, books: &Books, booked: u64) {
        let counts = books.read();
        let ended = counts.succeeded + counts.errors.values().sum::<u64>() + counts.left;
        self.requests = counts.sent;
        self.answered = ended.min(booked).min(counts.sent);
        self.lost = counts.sent - self.answered;
        let beyond = ended.max(booked).saturating_sub(counts.sent);
        self.answered_twice = beyond.max(counts.twice);
        self.complaints = counts.complaints;
        debug_assert!(counts.unheard <= self.lost, "who heard nothing has not ended");
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.requests > 0
            && self.requests == self.answered
            && self.answered_twice == 0
            && self.lost == 0
            && self.complaints == 0
            && self.leaked_slots == 0
            && self.processes_left == 0
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.complaints > 0 {
            writeln!(f, "complaints {}", self.complaints)?;
        }
        write!(
            f,
            "requests {}, answered {}, answered twice {}, lost {}, leaked slots {}, processes left {}",
            self.requests,
            self.answered,
            self.answered_twice,
            self.lost,
            self.leaked_slots,
            self.processes_left
        )
    }
}
