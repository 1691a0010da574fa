//! What is said to the pool on the way of every request, gathered: one message wakes its actor for all that lies here.
//!
//! It is a part of the actor's mailbox: whatever was put here before a message was sent is read before that message is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::adapter::Outcome;
use crate::address::Address;
use crate::id::RequestId;
use crate::pool::message::{Life, PoolCommand, PoolMessage, Submission, WorkerReport};
use crate::pool::vitals::Vitals;

/// With more requests at workers than this, those that come together are waited for before they are read.
const FEW: usize = 2;

/// How much may lie here and still keep the memory that it took.
const KEPT: usize = 1024;

/// How many requests may lie here beside those that the pool may have a place for when it reads them.
const SPARE: usize = 1024;

/// The gathered part of a pool's mailbox. It outlives the pool's actor, and is closed while there is none.
#[derive(Debug)]
pub(crate) struct Inbox {
    pool: Address<PoolMessage>,
    post: Mutex<Post>,
}

#[derive(Debug, Default)]
struct Post {
    messages: Vec<PoolMessage>,
    /// Which life of the pool reads it; `None`: nobody does.
    reader: Option<Reading>,
    lives: u64,
    /// Whether the reader has been told that there is something.
    told: bool,
    /// How many of the messages are requests, and how many may be.
    requests: usize,
    limit: usize,
    /// How many more have come since the last reading.
    refused: u64,
}

/// What lay in the inbox.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) messages: Vec<PoolMessage>,
    /// How many requests found it full, since the last reading.
    pub(super) refused: u64,
}

/// Why a request was not taken.
#[must_use = "a request that was not taken is never answered"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// There is no life of the pool to read it.
    NobodyReads,
    /// So many lie here that the pool has not read: it does not keep up.
    Full { unread: usize },
}

/// One life's right to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading(u64);

impl Inbox {
    /// The inbox of the pool that is found there. `places`: how many requests it may have at once before it says so itself.
    pub(super) fn new(pool: Address<PoolMessage>, places: usize) -> Self {
        let limit = places.saturating_add(SPARE);
        Self { pool, post: Mutex::new(Post { limit, ..Post::default() }) }
    }

    /// A life of the pool begins to read. It must have said where it is before: whoever puts something here tells it.
    pub(super) fn open(&self) -> Reading {
        let mut post = self.post();
        post.lives += 1;
        let reading = Reading(post.lives);
        // What the life before was told of and has not read is this one's to read.
        let told = !post.messages.is_empty();
        (post.reader, post.told) = (Some(reading), told);
        drop(post);
        if told {
            self.pool.cast(PoolMessage::Posted);
        }
        reading
    }

    /// That life reads no more: what lies here is dropped, and nothing more is taken, unless the next life reads already.
    pub(super) fn close(&self, reading: Reading) {
        let mut post = self.post();
        if post.reader == Some(reading) {
            (post.reader, post.requests) = (None, 0);
            let unread = std::mem::take(&mut post.messages);
            // Whoever hears by the drop of a message that nobody reads it may say something about it.
            drop(post);
            drop(unread);
        }
    }

    /// Sends a message that belongs to a request which was taken: there are never more of them than of requests. Returns
    /// whether somebody reads; what nobody reads is dropped.
    pub(super) fn put(&self, message: PoolMessage) -> bool {
        let post = self.post();
        if post.reader.is_none() {
            // Let go first: what is in the message may have something to say when it is dropped.
            drop(post);
            return false;
        }
        self.push(post, message);
        true
    }

    /// Sends the end of a request that a life had, which has one less from this moment on. Between the two nobody can look.
    pub(super) fn put_end(&self, life: Life, end: (RequestId, Outcome), vitals: &Vitals) {
        let (id, outcome) = end;
        let post = self.post();
        vitals.ended(!matches!(outcome, Outcome::Failed(_)));
        if post.reader.is_some() {
            self.push(post, PoolMessage::Worker(WorkerReport::RequestFinished { life, id, outcome }));
        }
        // What nobody reads is let go after the lock, as above.
    }

    /// How many requests a life has whose ends have not been read.
    pub(super) fn unread_ends(&self, of: Life, vitals: &Vitals) -> u32 {
        let is_end = |message: &&PoolMessage| matches!(message, PoolMessage::Worker(WorkerReport::RequestFinished { life, .. }) if *life == of);
        let post = self.post();
        let unread = post.messages.iter().filter(is_end).count();
        vitals.running().saturating_add(u32::try_from(unread).unwrap_or(u32::MAX))
    }

    /// Sends a request, where there is room: what callers ask must not pile up before a pool that does not keep up. One whose
    /// place is reserved has it.
    pub(super) fn submit(&self, submission: Box<Submission>) -> Result<(), NotTaken> {
        let mut post = self.post();
        let refusal = if post.reader.is_none() {
            Some(NotTaken::NobodyReads)
        } else if post.requests >= post.limit && submission.reservation.is_none() {
            post.refused += 1;
            Some(NotTaken::Full { unread: post.requests })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            // As above.
            drop(post);
            return Err(refusal);
        }
        post.requests += 1;
        self.push(post, PoolMessage::Command(PoolCommand::Execute(submission)));
        Ok(())
    }

    fn push(&self, mut post: MutexGuard<'_, Post>, message: PoolMessage) {
        post.messages.push(message);
        let told = std::mem::replace(&mut post.told, true);
        drop(post);
        if !told {
            // An actor that cannot be told is about to close this.
            self.pool.cast(PoolMessage::Posted);
        }
    }

    /// Whether a request lies here that has not been read.
    pub(super) fn asks(&self) -> bool {
        self.post().requests > 0
    }

    /// Takes all that lies here, in exchange for an empty list whose memory is used again. `places`: how many requests the
    /// pool may have at once.
    pub(super) fn take(&self, mut empty: Vec<PoolMessage>, places: usize) -> Mail {
        if empty.capacity() > KEPT {
            empty = Vec::new();
        }
        let mut post = self.post();
        (post.told, post.requests) = (false, 0);
        post.limit = places.saturating_add(SPARE);
        Mail {
            messages: std::mem::replace(&mut post.messages, empty),
            refused: std::mem::take(&mut post.refused),
        }
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        // Nothing under this lock can panic half-way: a poisoned inbox is still a true one.
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request that lies here is likely to be the first of several: answers wake their callers together, and each caller
/// asks again, so that one turn of the runtime later all of them lie here. Whoever waits in line is nobody that an answer wakes.
#[must_use]
pub(super) fn more_is_likely(under_way: usize, waiting: usize) -> bool {
    under_way.saturating_sub(waiting) > FEW
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::id::{Incarnation, Slot};
    use crate::payload::Payload;
    use crate::pool::tests::bench::submission;
    use crate::pool::tests::ear::ear;
    use crate::request::Request;

    fn cancel(id: u64) -> PoolMessage {
        PoolMessage::Command(PoolCommand::Cancel { id: RequestId(id) })
    }

    fn execute(id: u64) -> Box<Submission> {
        let request = Request::new("c", Payload::bytes(Vec::new()));
        Box::new(submission(RequestId(id), request).0)
    }

    fn finished(id: u64) -> PoolMessage {
        let life = Life { slot: Slot(0), incarnation: Incarnation(1) };
        let outcome = Outcome::Answered(Payload::bytes(Vec::new()));
        PoolMessage::Worker(WorkerReport::RequestFinished { life, id: RequestId(id), outcome })
    }

    fn read(inbox: &Inbox) -> Vec<u64> {
        let number = |message| match message {
            PoolMessage::Command(PoolCommand::Cancel { id: RequestId(id) }) => id,
            other => panic!("{other:?} is not what was put here"),
        };
        inbox.take(Vec::new(), 0).messages.into_iter().map(number).collect()
    }

    #[test]
    fn those_who_wait_in_line_put_no_call_off() {
        for (under_way, waiting, likely) in [
            (0, 0, false),
            (2, 0, false),
            (3, 0, true),
            (1002, 1000, false),
            (1003, 1000, true),
            (5, 5, false),
        ] {
            assert_eq!(
                more_is_likely(under_way, waiting),
                likely,
                "{under_way} under way, {waiting} waiting"
            );
        }
    }

    #[tokio::test]
    async fn the_pool_is_told_once_of_all_that_it_has_not_read() {
        let (pool, mut hears) = ear::<PoolMessage>().await;
        let address = Address::default();
        address.publish(pool);
        let inbox = Inbox::new(address, 0);
        let _reading = inbox.open();
        for round in 0..2 {
            assert!((1..=3).all(|id| inbox.put(cancel(id))));
            assert!(matches!(hears.recv().await, Some(PoolMessage::Posted)), "round {round}");
            assert!(hears.is_empty());
            assert_eq!(read(&inbox), [1, 2, 3]);
            assert_eq!(read(&inbox), [0; 0]);
        }
    }

    #[test]
    fn what_nobody_reads_is_refused_and_what_lies_there_is_dropped() {
        let inbox = Inbox::new(Address::default(), 0);
        assert!(!inbox.put(cancel(1)));
        let reading = inbox.open();
        assert!(inbox.put(cancel(2)));
        inbox.close(reading);
        assert!(!inbox.put(cancel(3)));
        assert_eq!(read(&inbox), [0; 0]);
    }

    #[test]
    fn an_answer_that_nobody_reads_may_have_something_to_say_when_it_is_dropped() {
        /// What holds a payload's bytes, and looks whether it could speak.
        struct Speaks(Arc<Inbox>, Arc<AtomicBool>);

        impl AsRef<[u8]> for Speaks {
            fn as_ref(&self) -> &[u8] {
                &[]
            }
        }

        impl Drop for Speaks {
            fn drop(&mut self) {
                self.1.store(self.0.post.try_lock().is_ok(), Ordering::Relaxed);
            }
        }

        let (inbox, could_speak) = (Arc::new(Inbox::new(Address::default(), 0)), Arc::default());
        let bytes = Bytes::from_owner(Speaks(Arc::clone(&inbox), Arc::clone(&could_speak)));
        let life = Life { slot: Slot(0), incarnation: Incarnation(1) };
        let vitals = Vitals::default();
        vitals.begin().done();
        inbox.put_end(life, (RequestId(1), Outcome::Answered(Payload::bytes(bytes))), &vitals);
        assert!(could_speak.load(Ordering::Relaxed));
    }

    #[test]
    fn a_life_that_ends_late_does_not_close_what_the_next_one_reads() {
        let inbox = Inbox::new(Address::default(), 0);
        let former = inbox.open();
        let latter = inbox.open();
        assert!(inbox.put(cancel(1)));
        inbox.close(former);
        assert!(inbox.put(cancel(2)));
        assert_eq!(read(&inbox), [1, 2]);
        inbox.close(latter);
        assert!(!inbox.put(cancel(3)));
    }

    #[test]
    fn a_worker_has_every_request_whose_end_has_not_been_read_at_whatever_moment_it_is_asked() {
        // One that ended between the two was counted as over, and then once more when its end was read: a place was given back
        // twice.
        const REQUESTS: u64 = 20_000;
        let (inbox, vitals) = (Inbox::new(Address::default(), 0), Vitals::default());
        let life = Life { slot: Slot(0), incarnation: Incarnation(1) };
        let _reading = inbox.open();
        (0..REQUESTS).for_each(|_| vitals.begin().done());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in 0..REQUESTS {
                    inbox.put_end(life, (RequestId(id), Outcome::StreamEnded), &vitals);
                }
            });
            let mut read = 0;
            while read < REQUESTS {
                assert_eq!(u64::from(inbox.unread_ends(life, &vitals)), REQUESTS - read);
                read += inbox.take(Vec::new(), 0).messages.len() as u64;
            }
        });
        assert_eq!((inbox.unread_ends(life, &vitals), vitals.totals()), (0, (REQUESTS, 0)));
    }

    #[tokio::test]
    async fn what_one_life_has_not_read_the_next_one_is_told_of() {
        let (pool, mut hears) = ear::<PoolMessage>().await;
        let address = Address::default();
        address.publish(pool);
        let inbox = Inbox::new(address, 0);
        let _former = inbox.open();
        assert!(inbox.put(cancel(1)));
        assert!(matches!(hears.recv().await, Some(PoolMessage::Posted)), "which it never handles");
        let _latter = inbox.open();
        assert!(matches!(hears.recv().await, Some(PoolMessage::Posted)));
        assert_eq!(read(&inbox), [1]);
    }

    #[test]
    fn it_is_said_whether_a_request_is_among_what_lies_there() {
        let inbox = Inbox::new(Address::default(), 0);
        let former = inbox.open();
        assert!(!inbox.asks(), "nothing lies there");
        assert!(inbox.put(finished(1)) && inbox.put(cancel(2)));
        assert!(!inbox.asks(), "an answer and a caller's leaving ask for nothing");
        assert!(inbox.submit(execute(3)).is_ok() && inbox.put(finished(4)));
        assert!(inbox.asks(), "what comes behind a request does not hide it");
        let latter = inbox.open();
        assert!(inbox.asks(), "another reader finds it there");
        inbox.close(former);
        assert!(inbox.asks(), "and keeps it");
        assert_eq!(inbox.take(Vec::new(), 0).messages.len(), 4);
        assert!(!inbox.asks(), "it has been read");
        assert!(inbox.submit(execute(5)).is_ok());
        inbox.close(latter);
        assert!(!inbox.asks(), "it has been dropped");
        assert!(inbox.submit(execute(6)).is_err() && !inbox.asks(), "it was refused");
    }
}
