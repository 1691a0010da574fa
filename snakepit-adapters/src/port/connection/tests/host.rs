//! The host's end: a supervisor that hears of the actor's end, and a sink for its reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_core::adapter::{
    AdapterFailure, AdapterMessage, AdapterRef, AdapterReports, ChunkSender, Connect, Connected, Outcome,
    ReportSink, StreamWindow, WorkerLog,
};
use snakepit_core::{
    Deadline, Incarnation, Payload, PoolName, Request, RequestId, Slot, WirePipes, WorkerId, WorkerLife,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::peer::Peer;
use crate::port::connection::open;

/// How long a test may take before it counts as hung.
const HANG_LIMIT: Duration = Duration::from_mins(1);
pub(super) const PAYLOAD_LIMIT: usize = 128 << 20;

#[derive(Debug, PartialEq)]
pub(super) enum Report {
    Started(u64),
    Finished(u64, Outcome),
    Recycle(String),
    Unread(u64),
    Log(WorkerLog),
}

struct Sink {
    reports: mpsc::UnboundedSender<Report>,
    signs_of_life: Arc<AtomicUsize>,
    heard_out: Arc<AtomicBool>,
}

impl ReportSink for Sink {
    fn finished(&self, id: RequestId, outcome: Outcome) {
        let _ = self.reports.send(Report::Finished(id.0, outcome));
    }

    fn started(&self, id: RequestId) {
        let _ = self.reports.send(Report::Started(id.0));
    }

    fn recycle(&self, why: String) {
        let _ = self.reports.send(Report::Recycle(why));
    }

    fn unread(&self, id: RequestId) {
        let _ = self.reports.send(Report::Unread(id.0));
    }

    fn heard_out(&self) {
        self.heard_out.store(true, Ordering::Relaxed);
    }

    fn alive(&self) {
        self.signs_of_life.fetch_add(1, Ordering::Relaxed);
    }

    fn log(&self, log: WorkerLog) {
        let _ = self.reports.send(Report::Log(log));
    }
}

/// Hears why the connection ended.
struct Listener(mpsc::UnboundedSender<Option<AdapterFailure>>);

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Listener {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(_, error) => {
                let _ = self.0.send(error.downcast_ref::<AdapterFailure>().cloned());
            }
            SupervisionEvent::ActorTerminated(..) => {
                let _ = self.0.send(None);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A connection that is about to be made, and the thread that plays its worker.
pub(super) struct Host {
    pub(super) supervisor: ActorRef<()>,
    reports: mpsc::UnboundedReceiver<Report>,
    ends: mpsc::UnboundedReceiver<Option<AdapterFailure>>,
    signs_of_life: Arc<AtomicUsize>,
    heard_out: Arc<AtomicBool>,
    connect: Option<Connect>,
    connected: Option<Connected>,
    peer: Option<std::thread::JoinHandle<()>>,
}

impl Host {
    /// Lays the pipes, and lets `script` play the worker.
    pub(super) async fn with_peer(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let (from_host, to_worker) = std::io::pipe().unwrap();
        let (from_worker, to_host) = std::io::pipe().unwrap();
        let (sender, reports) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let signs_of_life = Arc::new(AtomicUsize::new(0));
        let heard_out = Arc::new(AtomicBool::new(false));
        let (supervisor, _) = Actor::spawn(None, Listener(ended), ()).await.unwrap();
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(3) };
        let connect = Connect {
            life: WorkerLife { worker, incarnation: Incarnation(2) },
            pipes: Some(WirePipes { to_worker: to_worker.into(), from_worker: from_worker.into() }),
            reports: AdapterReports::new(Arc::new(Sink {
                reports: sender,
                signs_of_life: Arc::clone(&signs_of_life),
                heard_out: Arc::clone(&heard_out),
            })),
            payload_limit: PAYLOAD_LIMIT,
            wants_started: true,
            supervisor: supervisor.get_cell(),
        };
        let peer = std::thread::spawn(move || script(Peer::new(from_host, to_host)));
        Self {
            supervisor,
            reports,
            ends,
            signs_of_life,
            heard_out,
            connect: Some(connect),
            connected: None,
            peer: Some(peer),
        }
    }

    /// Makes the connection; the peer must shake hands.
    pub(super) async fn connected(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let mut host = Self::with_peer(script).await;
        host.connect().await.unwrap();
        host
    }

    pub(super) async fn connect(&mut self) -> Result<&Connected, AdapterFailure> {
        let connected = open(self.connect.take().unwrap()).await?;
        Ok(self.connected.insert(connected))
    }

    pub(super) fn adapter(&self) -> AdapterRef {
        self.connected.as_ref().unwrap().adapter.clone()
    }

    pub(super) fn ask(&self, message: AdapterMessage) {
        self.adapter().cast(message).unwrap();
    }

    pub(super) fn execute(&self, id: u64, payload: Payload) {
        self.execute_request(id, Request::new("echo", payload));
    }

    pub(super) fn execute_request(&self, id: u64, request: Request) {
        self.ask(AdapterMessage::Execute { id: RequestId(id), request, deadline: deadline() });
    }

    pub(super) fn stream(&self, id: u64, window: StreamWindow) -> mpsc::Receiver<Payload> {
        let (chunks, taken) = ChunkSender::channel(window);
        let request = Request::new("count", Payload::json(&()).unwrap());
        self.ask(AdapterMessage::ExecuteStream { id: RequestId(id), request, deadline: deadline(), chunks });
        taken
    }

    /// Stops the adapter actor as its supervisor would.
    pub(super) fn kill(&self) {
        self.connected.as_ref().unwrap().adapter.get_cell().kill();
    }

    pub(super) async fn report(&mut self) -> Report {
        self.reports.recv().await.expect("the connection ended without another report")
    }

    pub(super) async fn finished(&mut self) -> (u64, Outcome) {
        match self.report().await {
            Report::Finished(id, outcome) => (id, outcome),
            other @ (Report::Started(_) | Report::Unread(_) | Report::Recycle(_) | Report::Log(_)) => {
                panic!("{other:?} instead of an answer")
            }
        }
    }

    pub(super) async fn answered(&mut self) -> (u64, Bytes) {
        match self.finished().await {
            (id, Outcome::Answered(payload)) => (id, payload.data),
            other => panic!("{other:?} instead of an answer"),
        }
    }

    /// Why the actor ended, once it has.
    pub(super) async fn failure(&mut self) -> AdapterFailure {
        self.end().await.expect("the actor ended without saying why")
    }

    /// Waits for the actor's end, and returns what it says of it.
    pub(super) async fn end(&mut self) -> Option<AdapterFailure> {
        self.ends.recv().await.unwrap()
    }

    pub(super) fn tells_started(&self) -> bool {
        self.connected.as_ref().unwrap().tells_started
    }

    /// Whether the connection said that the worker has been heard out.
    pub(super) fn is_heard_out(&self) -> bool {
        self.heard_out.load(Ordering::Relaxed)
    }

    pub(super) fn signs_of_life(&self) -> usize {
        self.signs_of_life.load(Ordering::Relaxed)
    }

    /// Waits for the peer to come to the end of its script; its panics are the test's.
    pub(super) async fn peer_is_done(&mut self) {
        let peer = self.peer.take().unwrap();
        let joined = tokio::task::spawn_blocking(|| peer.join()).await.unwrap();
        if let Err(panic) = joined {
            std::panic::resume_unwind(panic);
        }
    }

    /// No report is left that nobody has looked at.
    pub(super) fn nothing_more(&mut self) {
        let more = self.reports.try_recv();
        assert!(more.is_err(), "{more:?}");
    }
}

pub(super) fn deadline() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(30))
}

/// Runs a test on a current-thread runtime, then on a multi-thread one, each with a hang limit.
pub(super) fn on_both_runtimes<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for runtime in [current, multi] {
        let hung = runtime.block_on(async { tokio::time::timeout(HANG_LIMIT, test()).await }).is_err();
        // A peer that hangs in a read would keep the runtime waiting for its thread.
        runtime.shutdown_background();
        assert!(!hung, "the test hung");
    }
}
