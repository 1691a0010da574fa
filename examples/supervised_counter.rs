//! A static tree that crashes and heals: a counter, and a reader that depends on it, under rest-for-one.
//!
//! `cargo run --example supervised_counter`

use std::error::Error;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call_t};
use snakepit_supervisor::{ChildHandle, ChildSpec, Report, ReportSink, Strategy, SupervisorSpec};

/// Counts; a crash costs it what it has counted.
struct Counter;

enum CounterMessage {
    Increment,
    Get(RpcReplyPort<u64>),
    Crash,
}

impl Actor for Counter {
    type Msg = CounterMessage;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: CounterMessage,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CounterMessage::Increment => *count += 1,
            CounterMessage::Get(reply) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(*count);
            }
            CounterMessage::Crash => return Err("asked to crash".into()),
        }
        Ok(())
    }
}

async fn count(counter: &ChildHandle) -> Result<u64, Box<dyn Error>> {
    let counter = counter.actor::<CounterMessage>().ok_or("the counter is not up")?;
    Ok(call_t!(counter, CounterMessage::Get, 1000)?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let counter = ChildSpec::worker("counter", || (Counter, ()));
    // A second counter stands for whatever depends on the first: it is restarted with it.
    let reader = ChildSpec::worker("reader", || (Counter, ()));
    let mut handle = counter.handle();
    let supervisor = SupervisorSpec::new("counters")
        .strategy(Strategy::RestForOne)
        .reports(ReportSink::new(|report| match report {
            Report::ChildTerminated { child, reason, .. } => println!("  {child} ended: {reason}"),
            Report::Progress { child, incarnation, .. } => println!("  {child} is up, life {incarnation}"),
            other => println!("  {other:?}"),
        }))
        .child(counter)
        .child(reader)
        .start()
        .await?;

    let actor = handle.actor::<CounterMessage>().ok_or("the counter is not up")?;
    for _ in 0..3 {
        actor.cast(CounterMessage::Increment)?;
    }
    println!("counted to {}", count(&handle).await?);
    println!("{}", supervisor.snapshot().await?);

    println!("now it crashes:");
    let before = actor.get_id();
    actor.cast(CounterMessage::Crash)?;
    while handle.up().await.ok_or("the counter is gone for good")?.get_id() == before {
        handle.changed().await;
    }
    println!("the same handle finds its next life, which counts from {}", count(&handle).await?);
    println!("{}", supervisor.snapshot().await?);

    supervisor.shut_down(Duration::from_secs(5)).await?;
    println!("stopped, newest first");
    Ok(())
}
