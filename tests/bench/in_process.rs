//! Workers without a process that answer at once: what the pool itself costs. T19.

use std::error::Error;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_adapters::adapter::{
    Adapter, AdapterFailure, AdapterMessage, AdapterReports, Connect, Connected, Connecting, Outcome,
    WorkerContext,
};
use snakepit_adapters::{Payload, ProcessSpec};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::erlang::{self, Peer};
use crate::figures::Aim::{AtLeast, AtMost, Open};
use crate::figures::Judged::Ratio;
use crate::figures::{Brought, Program, Unit};
use crate::full_path::{Bench, PATIENCE, echo_p50, throughput};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("ractor_call", Unit::Micros, &[]),
    Program::new("ractor_call_64", Unit::PerSecond, &[]),
    Program::new("erl_pool", Unit::Micros, &[]),
    Program::new("erl_pool_64", Unit::PerSecond, &[]),
    Program::new(
        "t19_one_caller",
        Unit::Micros,
        &[Ratio("erl_pool", AtMost(1.0)), Ratio("ractor_call", Open)],
    ),
    Program::new(
        "t19_64_callers",
        Unit::PerSecond,
        &[Ratio("erl_pool_64", AtLeast(1.0)), Ratio("ractor_call_64", Open)],
    ),
];

/// Answers every request with what it was given; one whose command is `hold` never.
pub(crate) struct Echo {
    pub(crate) capacity: u16,
}

impl Adapter for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn process_spec(&self, _worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        Ok(None)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        let capacity = self.capacity;
        Box::pin(async move {
            let started = Actor::spawn_linked(None, EchoActor, connect.reports, connect.supervisor).await;
            let (actor, _) = started.map_err(|error| AdapterFailure::Failed { what: error.to_string() })?;
            let agent = "echo".to_owned();
            let adapter = actor.get_derived().into();
            Ok(Connected { adapter, capacity, tells_started: false, agent })
        })
    }
}

struct EchoActor;

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for EchoActor {
    type Msg = AdapterMessage;
    type State = AdapterReports;
    type Arguments = AdapterReports;

    async fn pre_start(
        &self,
        _: ActorRef<AdapterMessage>,
        reports: AdapterReports,
    ) -> Result<AdapterReports, ActorProcessingErr> {
        Ok(reports)
    }

    async fn handle(
        &self,
        _: ActorRef<AdapterMessage>,
        message: AdapterMessage,
        reports: &mut AdapterReports,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AdapterMessage::Execute { id, request, .. } if &*request.command != "hold" => {
                reports.finished(id, Outcome::Answered(request.payload));
            }
            AdapterMessage::Cancel { id } => {
                reports.finished(id, Outcome::Answered(Payload::bytes(Vec::new())));
            }
            AdapterMessage::Ping => reports.alive(),
            _ => {}
        }
        Ok(())
    }
}

/// A pool of such workers, all of them ready.
pub(crate) async fn pool(size: u16, capacity: u16) -> Result<Bench, Box<dyn Error>> {
    let bench = Bench::begin(tempfile::tempdir()?, Echo { capacity }, |options| {
        (options.size, options.capacity) = (size, capacity);
        options.startup_concurrency = size;
        options.queue_limit = 10_000;
    });
    let bench = bench.await?;
    bench.pool()?.await_full(PATIENCE).await?;
    Ok(bench)
}

/// One round of one program.
pub(crate) async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let figure = match program {
        "ractor_call" => bare(1, calls * 10).await?.recip() * 1e6,
        "ractor_call_64" => bare(64, calls * 20).await?,
        "erl_pool" => erlang::measure(Peer::Pool, 1, calls * 10)?.p50_us,
        "erl_pool_64" => erlang::measure(Peer::Pool, 64, calls * 20)?.per_second,
        "t19_one_caller" => echo_p50(pool(1, 64).await?, calls * 10).await?,
        "t19_64_callers" => throughput(pool(1, 64).await?, 64, calls * 20).await?,
        other => return Err(format!("there is no program {other}").into()),
    };
    Ok(vec![(program, figure)])
}

/// Calls to a bare actor, which go one hop there and one back: per second.
async fn bare(callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let (actor, stopped) = Actor::spawn(None, Answerer, ()).await?;
    let (mut tasks, each, start) = (JoinSet::new(), calls / callers, Instant::now());
    for _ in 0..callers {
        let actor = actor.clone();
        tasks.spawn(async move {
            for _ in 0..each {
                let (reply, answer) = oneshot::channel();
                actor.cast(Ask { reply }).map_err(|error| error.to_string())?;
                answer.await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let per_second = (each * callers) as f64 / start.elapsed().as_secs_f64();
    actor.stop(None);
    stopped.await?;
    Ok(per_second)
}

/// The least that an actor can do for a caller.
struct Answerer;

struct Ask {
    reply: oneshot::Sender<()>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Answerer {
    type Msg = Ask;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Ask>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Ask>, ask: Ask, (): &mut ()) -> Result<(), ActorProcessingErr> {
        // A caller that is gone needs no answer.
        let _ = ask.reply.send(());
        Ok(())
    }
}
