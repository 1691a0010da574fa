//! The port adapter without a pool: what of the full path is the wire's, and what is the rest.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_adapters::adapter::{
    Adapter, AdapterMessage, AdapterRef, AdapterReports, Connect, Outcome, ReportSink, WorkerLog,
};
use snakepit_adapters::port::PortAdapter;
use snakepit_adapters::{
    Deadline, Incarnation, Payload, PoolName, Request, RequestId, Slot, WirePipes, WorkerId, WorkerLife,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::child::EchoChild;
use crate::figures::Laps;

/// Answers, by the number of the request.
#[derive(Default)]
struct Answers(Mutex<HashMap<u64, oneshot::Sender<Outcome>>>);

impl Answers {
    fn expect(&self, id: u64) -> oneshot::Receiver<Outcome> {
        let (answer, answered) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        answered
    }
}

impl ReportSink for Answers {
    fn finished(&self, id: RequestId, outcome: Outcome) {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.0);
        if let Some(answer) = answer {
            // A caller that is gone needs no answer.
            let _ = answer.send(outcome);
        }
    }

    fn alive(&self) {}

    fn log(&self, _: WorkerLog) {}
}

/// What the adapter actor is linked to.
struct Root;

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

struct Alone {
    adapter: AdapterRef,
    answers: Arc<Answers>,
    root: ActorRef<()>,
    _child: EchoChild,
}

impl Alone {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = EchoChild::port()?;
        let missing = || io::Error::other("the child has no pipes");
        let pipes = WirePipes {
            to_worker: child.to_child.take().ok_or_else(missing)?,
            from_worker: child.from_child.take().ok_or_else(missing)?,
        };
        let answers = Arc::new(Answers::default());
        let (root, _) = Actor::spawn(None, Root, ()).await?;
        let worker = WorkerId { pool: PoolName::new("bench")?, slot: Slot(0) };
        let connect = Connect {
            life: WorkerLife { worker, incarnation: Incarnation(1) },
            pipes: Some(pipes),
            reports: AdapterReports::new(answers.clone()),
            payload_limit: 64 << 20,
            wants_started: false,
            supervisor: root.get_cell(),
        };
        let adapter = PortAdapter::new("sh").connect(connect).await?.adapter;
        Ok(Self { adapter, answers, root, _child: child })
    }
}

/// When a request leaves that was handed over.
#[derive(Clone, Copy)]
enum Leaves {
    AtOnce,
    /// With those of the callers that are about to hand over theirs, as from a pool.
    Together,
}

async fn call(
    (adapter, answers): (&AdapterRef, &Answers),
    id: u64,
    payload: &Payload,
    leaves: Leaves,
) -> Result<(), String> {
    let answered = answers.expect(id);
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(30));
    let request = Request::new("echo", payload.clone());
    let message = AdapterMessage::Execute { id: RequestId(id), request, deadline };
    adapter.hand_over(message).map_err(|error| error.to_string())?;
    if let Leaves::Together = leaves {
        tokio::task::yield_now().await;
    }
    adapter.flush();
    answered.await.map_err(|error| error.to_string())?;
    Ok(())
}

/// One caller, a Rust worker, 64 bytes: microseconds.
pub(crate) async fn p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    let alone = Alone::start().await?;
    let (adapter, answers) = (alone.adapter.clone(), Arc::clone(&alone.answers));
    let caller = tokio::spawn(async move {
        let (mut laps, payload) = (Laps::default(), Payload::bytes(vec![7; 64]));
        for id in 1..=calls as u64 {
            let start = Instant::now();
            call((&adapter, &answers), id, &payload, Leaves::AtOnce).await?;
            laps.add(start);
        }
        Ok::<_, String>(laps.p50())
    });
    let p50 = caller.await??;
    alone.root.stop(None);
    Ok(p50)
}

/// One Rust worker with `callers` requests under way: calls per second.
pub(crate) async fn throughput(callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let alone = Alone::start().await?;
    let each = (calls / callers) as u64;
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for caller in 0..callers as u64 {
        let (adapter, answers) = (alone.adapter.clone(), Arc::clone(&alone.answers));
        tasks.spawn(async move {
            let payload = Payload::bytes(vec![7; 64]);
            for call_number in 1..=each {
                let id = caller * each + call_number;
                call((&adapter, &answers), id, &payload, Leaves::Together).await?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let per_second = (each * callers as u64) as f64 / start.elapsed().as_secs_f64();
    alone.root.stop(None);
    Ok(per_second)
}
