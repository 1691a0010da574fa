//! What a stream may still send, counted alike at both ends.

use snakepit_core::adapter::StreamWindow;

/// Credit in chunks and in bytes of bodies. A chunk needs some of both, and may overdraw the bytes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    pub(crate) chunks: u64,
    pub(crate) bytes: i64,
}

/// No credit was left, or only this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoCredit(pub(crate) Credit);

impl Credit {
    pub(crate) fn new(window: StreamWindow) -> Self {
        Self { chunks: window.chunks.into(), bytes: window.bytes.into() }
    }

    pub(crate) fn give(&mut self, more: StreamWindow) {
        self.chunks = self.chunks.saturating_add(more.chunks.into());
        self.bytes = self.bytes.saturating_add(more.bytes.into());
    }

    /// Takes what a chunk with a body of that length costs.
    pub(crate) fn take(&mut self, body_len: usize) -> Result<(), NoCredit> {
        if self.chunks == 0 || self.bytes <= 0 {
            return Err(NoCredit(*self));
        }
        self.chunks -= 1;
        self.bytes = self.bytes.saturating_sub(i64::try_from(body_len).unwrap_or(i64::MAX));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_needs_both_counts_and_may_overdraw_the_bytes_once() {
        let mut credit = Credit::new(StreamWindow { chunks: 3, bytes: 10 });
        assert_eq!(credit.take(50), Ok(()), "the first overdraws");
        assert_eq!(credit.take(1), Err(NoCredit(Credit { chunks: 2, bytes: -40 })));
        credit.give(StreamWindow { chunks: 0, bytes: 41 });
        assert_eq!((credit.take(0), credit.take(0)), (Ok(()), Ok(())));
        assert_eq!(credit.take(0), Err(NoCredit(Credit { chunks: 0, bytes: 1 })));
    }
}
