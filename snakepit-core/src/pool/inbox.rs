//! What is said to the pool on the way of every request, gathered: one message wakes its actor for all that lies here.
//!
//! It is a part of the actor's mailbox: whatever was put here before a message was sent is read before that message is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::address::Address;
use crate::pool::message::{PoolCommand, PoolMessage};

/// How much may lie here and still keep the memory that it took.
const KEPT: usize = 1024;

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
    /// Whether a request lies here, among what is reported.
    asks: bool,
}

/// One life's right to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading(u64);

impl Inbox {
    /// The inbox of the pool that is found there.
    pub(super) fn new(pool: Address<PoolMessage>) -> Self {
        Self { pool, post: Mutex::default() }
    }

    /// A life of the pool begins to read. It must have said where it is before: whoever puts something here tells it.
    pub(super) fn open(&self) -> Reading {
        let mut post = self.post();
        post.lives += 1;
        let reading = Reading(post.lives);
        (post.reader, post.told) = (Some(reading), false);
        reading
    }

    /// That life reads no more: what lies here is dropped, and nothing more is taken, unless the next life reads already.
    pub(super) fn close(&self, reading: Reading) {
        let mut post = self.post();
        if post.reader == Some(reading) {
            (post.reader, post.asks) = (None, false);
            let unread = std::mem::take(&mut post.messages);
            // Whoever hears by the drop of a message that nobody reads it may say something about it.
            drop(post);
            drop(unread);
        }
    }

    /// Sends a message. Returns whether somebody reads; what nobody reads is dropped.
    pub(super) fn put(&self, message: PoolMessage) -> bool {
        let mut post = self.post();
        if post.reader.is_none() {
            // Let go first: what is in the message may have something to say when it is dropped.
            drop(post);
            return false;
        }
        post.asks |= matches!(message, PoolMessage::Command(PoolCommand::Execute(_)));
        post.messages.push(message);
        let told = std::mem::replace(&mut post.told, true);
        drop(post);
        if !told {
            // An actor that cannot be told is about to close this.
            self.pool.cast(PoolMessage::Posted);
        }
        true
    }

    /// Whether a request lies here that has not been read.
    pub(super) fn asks(&self) -> bool {
        self.post().asks
    }

    /// Takes all that lies here, in exchange for an empty list whose memory is used again.
    pub(super) fn take(&self, mut empty: Vec<PoolMessage>) -> Vec<PoolMessage> {
        if empty.capacity() > KEPT {
            empty = Vec::new();
        }
        let mut post = self.post();
        (post.told, post.asks) = (false, false);
        std::mem::replace(&mut post.messages, empty)
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        // Nothing under this lock can panic half-way: a poisoned inbox is still a true one.
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Outcome;
    use crate::id::{Incarnation, RequestId, Slot};
    use crate::payload::Payload;
    use crate::pool::message::{Life, WorkerReport};
    use crate::pool::tests::bench::submission;
    use crate::pool::tests::ear::ear;
    use crate::request::Request;

    fn cancel(id: u64) -> PoolMessage {
        PoolMessage::Command(PoolCommand::Cancel { id: RequestId(id) })
    }

    fn execute(id: u64) -> PoolMessage {
        let request = Request::new("c", Payload::bytes(Vec::new()));
        PoolMessage::Command(PoolCommand::Execute(Box::new(submission(RequestId(id), request).0)))
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
        inbox.take(Vec::new()).into_iter().map(number).collect()
    }

    #[tokio::test]
    async fn the_pool_is_told_once_of_all_that_it_has_not_read() {
        let (pool, mut hears) = ear::<PoolMessage>().await;
        let address = Address::default();
        address.publish(pool);
        let inbox = Inbox::new(address);
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
        let inbox = Inbox::new(Address::default());
        assert!(!inbox.put(cancel(1)));
        let reading = inbox.open();
        assert!(inbox.put(cancel(2)));
        inbox.close(reading);
        assert!(!inbox.put(cancel(3)));
        assert_eq!(read(&inbox), [0; 0]);
    }

    #[test]
    fn a_life_that_ends_late_does_not_close_what_the_next_one_reads() {
        let inbox = Inbox::new(Address::default());
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
    fn it_is_said_whether_a_request_is_among_what_lies_there() {
        let inbox = Inbox::new(Address::default());
        let former = inbox.open();
        assert!(!inbox.asks(), "nothing lies there");
        assert!(inbox.put(finished(1)) && inbox.put(cancel(2)));
        assert!(!inbox.asks(), "an answer and a caller's leaving ask for nothing");
        assert!(inbox.put(execute(3)) && inbox.put(finished(4)));
        assert!(inbox.asks(), "what comes behind a request does not hide it");
        let latter = inbox.open();
        assert!(inbox.asks(), "another reader finds it there");
        inbox.close(former);
        assert!(inbox.asks(), "and keeps it");
        assert_eq!(inbox.take(Vec::new()).len(), 4);
        assert!(!inbox.asks(), "it has been read");
        assert!(inbox.put(execute(5)));
        inbox.close(latter);
        assert!(!inbox.asks(), "it has been dropped");
        assert!(!inbox.put(execute(6)) && !inbox.asks(), "it was refused");
    }
}
