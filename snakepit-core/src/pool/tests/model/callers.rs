//! The callers of the model: each hears one answer, and the chunks that come before it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::ExecuteError;
use crate::id::SessionId;
use crate::pool::message::Life;
use crate::pool::tests::bench::request;
use crate::pool::tests::model::Wish;
use crate::pool::{Permit, PoolRef, Response, ResponseStream};
use crate::request::Request;

/// As good as no bound to what a reader takes.
const ALL: usize = 1_000_000;

pub(super) struct Call {
    pub(super) wish: Wish,
    /// Whether it has a place, and must not be refused for want of one.
    pub(super) has_place: bool,
    /// `None` once it has ended, or its caller has left.
    pub(super) task: Option<JoinHandle<Result<Heard, ExecuteError>>>,
    /// Whether the pool takes no requests when it comes, so that it must be refused.
    pub(super) is_shut_out: bool,
    /// Whether its caller has heard what became of it.
    pub(super) has_heard: bool,
    /// How many chunks its reader may take.
    reads: Arc<Semaphore>,
    pub(super) given: Given,
}

/// What a caller has heard in the end.
pub(super) enum Heard {
    Answer(Response),
    /// A stream that came to its end after so many chunks.
    Stream(u64),
}

/// How often workers were given a request.
#[derive(Default)]
pub(super) struct Given {
    times: usize,
    /// The worker that has it now.
    pub(super) now: Option<Life>,
    /// Whether it may have run: a worker had it that was not known to have left it alone.
    pub(super) may_have_run: bool,
    /// Whether a chunk of it has been sent.
    pub(super) has_sent: bool,
    /// The chunks that its worker had sent when it said that there are no more.
    pub(super) ended_after: Option<u64>,
}

impl Call {
    /// A caller comes. `number`: what the worker gives back.
    pub(super) fn new(
        pool: &PoolRef,
        number: usize,
        wish: Wish,
        permit: Option<Permit>,
        draining: bool,
    ) -> Self {
        let mut asked = request(&number.to_string());
        asked = asked.timeout(Duration::from_millis(wish.timeout_ms.into()));
        if let Some(session) = wish.session {
            asked = asked.session(name(session));
        }
        if wish.idempotent {
            asked = asked.idempotent();
        }
        let has_place = permit.is_some() || wish.in_turn;
        // Who waits for a place may come later.
        let is_shut_out = draining && (permit.is_some() || !wish.in_turn);
        let reads = Arc::new(Semaphore::new(0));
        let task = tokio::spawn(ask(pool.clone(), asked, wish, permit, Arc::clone(&reads)));
        Self {
            wish,
            has_place,
            task: Some(task),
            is_shut_out,
            has_heard: false,
            reads,
            given: Given::default(),
        }
    }

    /// The caller stops waiting. Returns whether it still did.
    pub(super) fn leave(&mut self) -> bool {
        let task = self.task.take();
        task.is_some_and(|task| {
            task.abort();
            true
        })
    }

    /// Whether it is a stream of this session whose end may be known to everybody but its reader.
    pub(super) fn is_unread_in(&self, session: u8) -> bool {
        self.wish.streams && self.wish.session == Some(session) && !self.has_heard
    }

    pub(super) fn read(&self, count: u8) {
        self.reads.add_permits(count.into());
    }

    /// From now on it takes whatever comes.
    pub(super) fn read_all(&self) {
        self.reads.add_permits(ALL.saturating_sub(self.reads.available_permits()));
    }

    /// What it has heard since the last time.
    pub(super) async fn hear(&mut self, number: usize) -> Option<Result<Heard, ExecuteError>> {
        if !self.task.as_ref()?.is_finished() {
            return None;
        }
        let heard = self.task.take()?.await.expect("a caller panicked");
        self.has_heard = true;
        match &heard {
            Ok(Heard::Answer(response)) => {
                assert_eq!(response.payload.decode::<usize>().unwrap(), number, "somebody else's answer");
            }
            Ok(Heard::Stream(chunks)) => {
                assert_eq!(Some(*chunks), self.given.ended_after, "a stream that is whole lacks a part");
            }
            Err(ExecuteError::Saturated { .. }) => assert!(!self.has_place, "its place was not kept"),
            Err(ExecuteError::PoolDraining { .. }) => {
                assert!(self.is_shut_out || self.wish.in_turn, "the pool was not drained");
            }
            Err(_) => {}
        }
        Some(heard)
    }
}

async fn ask(
    pool: PoolRef,
    asked: Request,
    wish: Wish,
    permit: Option<Permit>,
    reads: Arc<Semaphore>,
) -> Result<Heard, ExecuteError> {
    let permit = match permit {
        None if wish.in_turn => Some(pool.reserve().await?),
        permit => permit,
    };
    match (permit, wish.streams) {
        (Some(permit), false) => permit.execute(asked).await.map(Heard::Answer),
        (None, false) => pool.execute(asked).await.map(Heard::Answer),
        (Some(permit), true) => read(permit.execute_stream(asked)?, &reads).await,
        (None, true) => read(pool.execute_stream(asked)?, &reads).await,
    }
}

/// Takes as many chunks as it may, each in its turn.
async fn read(mut stream: ResponseStream, reads: &Semaphore) -> Result<Heard, ExecuteError> {
    let mut chunks = 0;
    loop {
        reads.acquire().await.expect("nobody closes it").forget();
        match stream.next().await {
            Some(Ok(chunk)) => {
                assert_eq!(chunk.decode::<u64>().unwrap(), chunks, "a chunk is out of its turn");
                chunks += 1;
            }
            Some(Err(error)) => {
                assert!(stream.next().await.is_none(), "something follows an error");
                return Err(error);
            }
            None => {
                assert!(stream.next().await.is_none(), "something follows the end");
                return Ok(Heard::Stream(chunks));
            }
        }
    }
}

impl Given {
    pub(super) fn to(&mut self, life: Life, wish: Wish) {
        assert_eq!(self.now, None, "it runs on two workers at the same time");
        assert!(self.times == 0 || wish.idempotent || !self.may_have_run, "it may have run, and runs again");
        assert!(!self.has_sent, "a stream begins again of which some has come");
        self.times += 1;
        self.now = Some(life);
    }
}

pub(super) fn name(session: u8) -> SessionId {
    SessionId::new(&format!("s{session}")).unwrap()
}
