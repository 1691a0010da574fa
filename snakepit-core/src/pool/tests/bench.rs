//! A pool on the bench.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use ractor::{ActorCell, Message};
use serde_json::{Value, json};
use snakepit_supervisor::{SupervisorRef, SupervisorSpec};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::adapter::scripted::{Boot, Scripted, ScriptedLife};
use crate::config::{CheckedPoolConfig, PoolConfig, PoolOptions};
use crate::error::ExecuteError;
use crate::id::{RequestId, SessionId};
use crate::payload::Payload;
use crate::pool::message::{PoolMessage, Submission, Work};
use crate::pool::tests::scenes;
use crate::pool::{PoolRef, PoolShared, PoolStats, Response};
use crate::process::HostRun;
use crate::process::{Launcher, ReadUsage};
use crate::process_registry::ProcessRegistryRef;
use crate::request::{Deadline, Request};
use crate::session_affinity::SessionAffinityMessage;
use crate::snakepit::pool_tree::PoolTree;
use crate::telemetry::EventSink;

/// A pool, the supervisor above it, and its workers' ends.
pub(super) struct Bench {
    pub(super) pool: PoolRef,
    pub(super) supervisor: SupervisorRef,
    pub(super) lives: UnboundedReceiver<ScriptedLife>,
}

/// Options that keep a test short to write: one worker unless said otherwise.
pub(super) fn options(change: impl FnOnce(&mut PoolOptions)) -> PoolOptions {
    let mut options = PoolOptions { size: 1, ..PoolOptions::default() };
    change(&mut options);
    options
}

impl Bench {
    pub(super) async fn start(options: PoolOptions) -> Self {
        Self::start_with(options, Boot::Ready).await
    }

    pub(super) async fn start_with(options: PoolOptions, boot: Boot) -> Self {
        Self::start_by(
            Scripted::new(options.capacity, boot),
            options,
            Launcher::direct(),
            EventSink::default(),
        )
        .await
    }

    /// A pool that tells its events to `events`, from the first on.
    pub(super) async fn start_telling(options: PoolOptions, boot: Boot, events: &EventSink) -> Self {
        Self::start_by(Scripted::new(options.capacity, boot), options, Launcher::direct(), events.clone())
            .await
    }

    /// Workers whose processes use what the test says.
    pub(super) async fn start_reading(options: PoolOptions, read_usage: ReadUsage) -> Self {
        let launcher = Launcher::direct().reading(read_usage);
        Self::start_by(Scripted::new(options.capacity, Boot::Ready), options, launcher, EventSink::default())
            .await
    }

    /// A pool whose workers' boots the test may change.
    pub(super) async fn start_adapter(
        options: PoolOptions,
        adapter: (Scripted, UnboundedReceiver<ScriptedLife>),
    ) -> Self {
        Self::start_adapter_telling(options, adapter, &EventSink::default()).await
    }

    /// The same, and the pool tells its events to `events`.
    pub(super) async fn start_adapter_telling(
        options: PoolOptions,
        adapter: (Scripted, UnboundedReceiver<ScriptedLife>),
        events: &EventSink,
    ) -> Self {
        Self::start_by(adapter, options, Launcher::direct(), events.clone()).await
    }

    async fn start_by(
        (adapter, lives): (Scripted, UnboundedReceiver<ScriptedLife>),
        options: PoolOptions,
        launcher: Launcher,
        events: EventSink,
    ) -> Self {
        let config: CheckedPoolConfig = PoolConfig::new("bench", adapter).options(options).check().unwrap();
        let shared =
            PoolShared::new(config.name.clone(), config.options.clone(), Arc::new(AtomicU64::new(0)), events);
        let registry = ProcessRegistryRef::new(HostRun::of_a_test());
        let tree =
            PoolTree::new(&config, &Arc::new(shared), &registry, &launcher, std::path::Path::new("/nowhere"));
        SupervisorSpec::new("bench").child(tree.spec).start().await.unwrap();
        Self { pool: tree.pool, supervisor: tree.supervisor, lives }
    }

    /// The next life that comes up.
    pub(super) async fn life(&mut self) -> ScriptedLife {
        self.lives.recv().await.expect("the adapter lives as long as the pool")
    }

    /// As many lives as come up first.
    pub(super) async fn all_lives<const N: usize>(&mut self) -> [ScriptedLife; N] {
        let mut lives = Vec::new();
        for _ in 0..N {
            lives.push(self.life().await);
        }
        lives.sort_by(|a, b| a.life.cmp(&b.life));
        self.settled(|stats| stats.available == N).await;
        lives.try_into().expect("exactly as many as were awaited")
    }

    /// Ends the pool's actor as a panic would, and waits for its next life.
    pub(super) async fn kill_pool(&self) {
        let mut lives = self.pool.shared().address.subscribe();
        self.pool.shared().address.current().unwrap().kill();
        lives.changed().await.unwrap();
    }

    /// Has the pool's actor panic: it wakes a caller whose waker does.
    pub(super) async fn panic_pool(&self, life: &mut ScriptedLife) {
        let actor = self.pool.shared().address.current().unwrap();
        let waker = Waker::from(Arc::new(Panics));
        let mut answer = pin!(self.pool.execute(request("wakes")));
        assert!(answer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let id = life.next_request().await;
        life.answer(id, &done());
        actor.wait(None).await.unwrap();
    }

    /// Ends the pool's actor until its supervisor has spent its budget.
    pub(super) async fn spend_budget(&self) {
        for _ in 0..3 {
            self.kill_pool().await;
        }
        self.pool.shared().address.current().unwrap().kill();
        self.is_down(true).await;
    }

    /// Waits until the pool's own actors, which had failed too often, are there again.
    pub(super) async fn tried_again(&self) {
        self.is_down(false).await;
    }

    async fn is_down(&self, wanted: bool) {
        for _ in 0..600_000 {
            if self.pool.shared().down().is_some() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the pool's own actors never were so: down {wanted}");
    }

    /// Ends the session affinity's actor as a panic would, and waits for the life of the pool that follows.
    pub(super) async fn kill_session_affinity(&self) {
        self.kill(is_a::<SessionAffinityMessage>).await;
    }

    /// Ends the actor that the Starters are children of, and waits for the life of the pool that follows.
    pub(super) async fn kill_starters(&self) {
        self.kill(|child| !is_a::<SessionAffinityMessage>(child) && !is_a::<PoolMessage>(child)).await;
    }

    async fn kill(&self, is_meant: impl Fn(&ActorCell) -> bool) {
        let mut lives = self.pool.shared().address.subscribe();
        let actors = self.supervisor.cell().unwrap().get_children();
        actors.iter().flat_map(ActorCell::get_children).find(is_meant).unwrap().kill();
        lives.changed().await.unwrap();
    }

    /// Runs a request to its end on a worker, which must be the one that gets it.
    pub(super) async fn run(
        &self,
        request: Request,
        life: &mut ScriptedLife,
    ) -> Result<Response, ExecuteError> {
        let call = self.send(request);
        let id = life.next_request().await;
        life.answer(id, &done());
        call.await.unwrap()
    }

    /// A request under way.
    pub(super) fn call(&self, command: &str) -> JoinHandle<Result<Response, ExecuteError>> {
        self.send(request(command))
    }

    pub(super) fn send(&self, request: Request) -> JoinHandle<Result<Response, ExecuteError>> {
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.execute(request).await })
    }

    pub(super) async fn stats(&self) -> PoolStats {
        self.pool.stats().await.unwrap()
    }

    /// Waits until the pool's statistics are as wanted; the time is virtual, and a pool that never gets there fails.
    pub(super) async fn settled(&self, wanted: impl Fn(&PoolStats) -> bool) -> PoolStats {
        for _ in 0..10_000 {
            let stats = self.stats().await;
            if wanted(&stats) {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the pool never got there: {:?}", self.stats().await);
    }
}

/// A caller that cannot be woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a scripted waker");
    }
}

fn is_a<M: Message>(child: &ActorCell) -> bool {
    child.is_message_type_of::<M>() == Some(true)
}

pub(super) fn request(command: &str) -> Request {
    Request::new(command, Payload::json(&scenes::SECRET).unwrap())
}

/// A request as it comes to the pool, and where its caller would hear the answer.
pub(in crate::pool) fn submission(
    id: RequestId,
    request: Request,
) -> (Submission, oneshot::Receiver<Result<Response, ExecuteError>>) {
    let (reply, answer) = oneshot::channel();
    let timeout = Duration::from_mins(1);
    let submission = Submission {
        id,
        work: Work { request, chunks: None },
        deadline: Deadline::after(Instant::now(), timeout),
        timeout,
        reservation: None,
        reply,
        span: tracing::Span::none(),
    };
    (submission, answer)
}

pub(super) fn in_session(command: &str, session: &str) -> Request {
    request(command).session(SessionId::new(session).unwrap())
}

/// A chunk of a stream, told from others by its number.
pub(super) fn chunk(n: u8) -> Payload {
    Payload::bytes(vec![n])
}

/// What a worker answered.
pub(super) fn value(response: &Response) -> Value {
    response.payload.decode().unwrap()
}

pub(super) fn done() -> Value {
    json!("done")
}
