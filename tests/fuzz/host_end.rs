//! The host's end: a real connection over real pipes, whose worker says what chance has made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_adapters::adapter::{
    Adapter, AdapterMessage, AdapterReports, ChunkSender, Connect, Connected, Outcome, ReportSink,
    StreamWindow, WorkerLog,
};
use snakepit_adapters::port::frame::Side;
use snakepit_adapters::{
    Deadline, Incarnation, Payload, PoolName, PortAdapter, Request, RequestId, Slot, WirePipes, WorkerId,
    WorkerLife,
};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::fuzz::input::Input;

/// How long the connection may take to come to its end once its worker is gone.
const HANG: Duration = Duration::from_mins(1);
const READY: &[u8] =
    b"\x00\x00\x00\x28\x41\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00{\"protocol\":1,\"capacity\":4}";

/// Counts the answers to each request.
#[derive(Default)]
struct Answers(Mutex<HashMap<RequestId, u32>>);

impl ReportSink for Answers {
    fn finished(&self, id: RequestId, _: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
    }

    fn alive(&self) {}

    fn log(&self, _: WorkerLog) {}
}

/// Hears how the connection ended.
struct Listener(mpsc::UnboundedSender<String>);

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
        let end = match event {
            SupervisionEvent::ActorFailed(_, error) => error.to_string(),
            SupervisionEvent::ActorTerminated(_, _, reason) => reason.unwrap_or_default(),
            _ => return Ok(()),
        };
        let _ = self.0.send(end);
        Ok(())
    }
}

pub(super) async fn bears(input: &mut Input) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("host end: {error}");
    let (from_host, to_worker) = std::io::pipe().map_err(|error| failed(&error))?;
    let (from_worker, to_host) = std::io::pipe().map_err(|error| failed(&error))?;
    let mut to_host = pipe::Sender::from_owned_fd(to_host.into()).map_err(|error| failed(&error))?;
    let (sender, mut ends) = mpsc::unbounded_channel();
    let (supervisor, _) = Actor::spawn(None, Listener(sender), ()).await.map_err(|error| failed(&error))?;
    let answers = Arc::new(Answers::default());
    let pool = PoolName::new("fuzz").map_err(|error| failed(&error))?;
    let connect = Connect {
        life: WorkerLife { worker: WorkerId { pool, slot: Slot(0) }, incarnation: Incarnation(1) },
        pipes: Some(WirePipes { to_worker: to_worker.into(), from_worker: from_worker.into() }),
        reports: AdapterReports::new(answers.clone()),
        payload_limit: 1 << 16,
        wants_started: input.one_in(2),
        supervisor: supervisor.get_cell(),
    };
    let mut bytes = input.bytes(Side::Worker);
    if !input.one_in(5) {
        bytes.splice(..0, READY.iter().copied());
    }
    let adapter = PortAdapter::new("none");
    let connecting = adapter.connect(connect);
    let pieces = input.pieces(&bytes);
    let worker = async {
        // A connection that has ended reads no more.
        for piece in pieces {
            if to_host.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(to_host);
        // What the host writes fits in the pipe; nobody need read it.
        drop(from_host);
    };
    let asked = async { connecting.await.ok().map(|connected| ask(&connected)) };
    let (chunks, ()) = tokio::join!(asked, worker);
    let end = timeout(HANG, ends.recv()).await;
    drop(chunks);
    supervisor.stop(None);
    match end {
        Err(_) => return Err("host end: it hangs".into()),
        Ok(end) if end.as_ref().is_none_or(|end| end.contains("panic") || end.contains("unexpectedly")) => {
            return Err(format!("host end: it ends in {end:?}"));
        }
        Ok(_) => {}
    }
    let answers = answers.0.lock().unwrap_or_else(PoisonError::into_inner);
    match answers.iter().find(|(id, times)| **times > 1 || !(1..=4).contains(&id.0)) {
        Some((id, times)) => Err(format!("host end: {times} answers to request {id}")),
        None => Ok(()),
    }
}

/// Has four requests under way, one of them a stream that nobody reads and one cancelled.
fn ask(connected: &Connected) -> mpsc::Receiver<Payload> {
    let deadline = Deadline::after(Instant::now(), HANG);
    let request = || Request::new("echo", Payload::bytes("x"));
    let (chunks, taken) = ChunkSender::channel(StreamWindow { chunks: 3, bytes: 100 });
    let stream = AdapterMessage::ExecuteStream { id: RequestId(4), request: request(), deadline, chunks };
    let executes =
        (1..4).map(|id| AdapterMessage::Execute { id: RequestId(id), request: request(), deadline });
    let asked = executes.chain([stream, AdapterMessage::Cancel { id: RequestId(2) }, AdapterMessage::Ping]);
    // One that has ended meanwhile hears nothing.
    asked.for_each(|message| drop(connected.adapter.cast(message)));
    taken
}
