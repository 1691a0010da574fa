//! One caller, and the ways in which it calls.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use snakepit_adapters::{ExecuteError, Payload, PoolRef, Request, Response, SessionId};
use snakepit_tests::chance::Chance;
use tokio::time::{sleep, timeout};

use crate::books::Books;
use crate::strict::StrictSession;

/// Far beyond every deadline: who hears nothing until then never will.
const HANG: Duration = Duration::from_mins(1);
const SESSIONS: u64 = 16;

pub(crate) struct Caller {
    pool: PoolRef,
    books: Arc<Books>,
    chance: Chance,
    number: u64,
    calls: u64,
    session: StrictSession,
}

impl Caller {
    pub(crate) fn new(pool: PoolRef, books: Arc<Books>, chance: Chance, number: u64) -> Self {
        Self { pool, books, chance, number, calls: 0, session: StrictSession::new(number) }
    }

    /// Asks something, and counts what it came to.
    pub(crate) async fn call(&mut self) {
        self.calls += 1;
        match self.chance.below(16) {
            0..=2 => self.echo(|request| request).await,
            3 | 4 => self.echo(Request::idempotent).await,
            5 => self.echo_in_session().await,
            6 => self.sleep(|request| request).await,
            7 => self.sleep(Request::idempotent).await,
            8 => self.out_of_time().await,
            9 => self.cancel().await,
            10 | 11 => self.stream(Duration::ZERO).await,
            12 => self.stream(Duration::from_millis(2)).await,
            13 | 14 => self.remember().await,
            _ => self.drop_stream().await,
        }
    }

    /// What no other request has.
    fn token(&self) -> String {
        format!("{}/{}/{}", self.pool.name(), self.number, self.calls)
    }

    async fn echo(&mut self, change: impl FnOnce(Request) -> Request) {
        let token = self.token();
        let request = change(request("echo", &json!({"value": token})));
        self.heard(&token, self.pool.execute(request), |value| value == &json!(token)).await;
    }

    async fn echo_in_session(&mut self) {
        let session = format!("session {}", self.chance.below(SESSIONS));
        match SessionId::new(&session) {
            Ok(session) => self.echo(|request| request.session(session)).await,
            Err(error) => self.books.complain(&error.to_string()),
        }
    }

    async fn sleep(&mut self, change: impl FnOnce(Request) -> Request) {
        let ms = self.chance.below(30);
        let request = change(request("sleep", &json!({"ms": ms})));
        self.heard("sleep", self.pool.execute(request), |value| value == &json!(ms)).await;
    }

    /// Has less time than its command takes: what matters is that it ends.
    async fn out_of_time(&mut self) {
        let time = Duration::from_millis(1 + self.chance.below(20));
        let request = request("sleep", &json!({"ms": 40})).timeout(time);
        self.heard("out of time", self.pool.execute(request), |_| true).await;
    }

    /// Awaits one answer.
    async fn heard(
        &self,
        what: &str,
        answer: impl Future<Output = Result<Response, ExecuteError>>,
        is_right: impl FnOnce(&Value) -> bool,
    ) {
        self.books.sent();
        match timeout(HANG, answer).await {
            Ok(Ok(response)) => {
                self.books.succeeded();
                match response.payload.decode::<Value>() {
                    Ok(value) if is_right(&value) => {}
                    Ok(value) => self.books.twice(&format!("{what} got {value}")),
                    Err(error) => self.complain(what, &error),
                }
            }
            Ok(Err(error)) => self.books.failed(what, &error),
            Err(_) => self.books.unheard(what),
        }
    }

    /// Leaves while its request waits or runs, unless the answer is there first.
    async fn cancel(&mut self) {
        let request = request("sleep", &json!({"ms": self.chance.below(40)}));
        let patience = Duration::from_millis(self.chance.below(20));
        self.books.sent();
        match timeout(patience, self.pool.execute(request)).await {
            Ok(Ok(_)) => self.books.succeeded(),
            Ok(Err(error)) => self.books.failed("cancel", &error),
            Err(_) => self.books.left(1),
        }
    }

    /// Its own session, which it alone uses: whatever was kept is there, or it is told that it is not.
    async fn remember(&mut self) {
        self.books.sent();
        match timeout(HANG, self.session.remember(&self.pool)).await {
            Ok(Ok(right)) => {
                self.books.succeeded();
                right.unwrap_or_else(|complaint| self.books.complain(&complaint));
            }
            Ok(Err(error)) => self.books.failed_strictly("strict session", &error),
            Err(_) => self.books.unheard("strict session"),
        }
    }

    /// Reads a stream to its end, whatever that is, with such a rest before each chunk.
    async fn stream(&mut self, rest: Duration) {
        let n = self.chance.below(200);
        self.books.sent();
        let mut stream = match self.pool.execute_stream(request("count", &json!({"n": n}))) {
            Ok(stream) => stream,
            Err(error) => return self.books.failed("stream", &error),
        };
        let mut chunks = 0;
        loop {
            match timeout(HANG, stream.next()).await {
                Ok(Some(Ok(chunk))) => {
                    self.check_chunk(&chunk, chunks);
                    chunks += 1;
                    if !rest.is_zero() {
                        sleep(rest).await;
                    }
                }
                Ok(Some(Err(error))) => {
                    self.books.failed("stream", &error);
                    break;
                }
                Ok(None) if chunks == n => {
                    self.books.succeeded();
                    break;
                }
                Ok(None) => {
                    self.books.succeeded();
                    self.books.complain(&format!("a stream of {n} chunks ended after {chunks}"));
                    break;
                }
                Err(_) => return self.books.unheard("stream"),
            }
        }
        if !matches!(timeout(HANG, stream.next()).await, Ok(None)) {
            self.books.twice("a stream said more after its end");
        }
    }

    /// Reads some of a stream that would go on, and leaves.
    async fn drop_stream(&mut self) {
        let reads = self.chance.below(60);
        self.books.sent();
        let mut stream = match self.pool.execute_stream(request("count", &json!({"n": 100_000}))) {
            Ok(stream) => stream,
            Err(error) => return self.books.failed("stream that is left", &error),
        };
        for read in 0..reads {
            match timeout(HANG, stream.next()).await {
                Ok(Some(Ok(chunk))) => self.check_chunk(&chunk, read),
                Ok(Some(Err(error))) => return self.books.failed("stream that is left", &error),
                Ok(None) => return self.books.complain("a long stream ended early"),
                Err(_) => return self.books.unheard("stream that is left"),
            }
        }
        self.books.left(1);
    }

    fn check_chunk(&self, chunk: &Payload, number: u64) {
        match chunk.decode::<Value>() {
            Ok(value) if value == json!({"i": number}) => {}
            Ok(value) => self.books.complain(&format!("chunk {number} is {value}")),
            Err(error) => self.complain("chunk", &error),
        }
    }

    fn complain(&self, what: &str, error: &dyn Display) {
        self.books.complain(&format!("{what}: {error}"));
    }
}

fn request(command: &'static str, args: &Value) -> Request {
    Request::new(command, Payload::json(args).expect("a JSON value has a JSON form"))
}
