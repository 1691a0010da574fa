//! Signs of life, sessions, and the ways in which a worker leaves.

use serde_json::json;
use snakepit_core::adapter::{AdapterMessage, Outcome, StreamWindow};
use snakepit_core::{Payload, SessionId, WorkerErrorKind};
use tokio::sync::mpsc;

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings, demand};
use crate::contract::host::{Host, test_request};

pub(super) async fn ping(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    for _ in 0..10 {
        host.ping().await?;
    }
    host.serves_on().await
}

pub(super) async fn ping_while_busy(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.must_offer("sleep", &json!({"ms": 0})).await?;
    let id = host.ask_test("sleep", &json!({"ms": 1_000}))?;
    host.ping().await?;
    // Whatever has been said by now is known.
    host.cancel(id);
    match host.outcome_so_far(id) {
        None => host.outcome(id).await.map(drop),
        Some(_) => Err(Finding::not_offered("a ping waits for what runs, which is allowed")),
    }
}

pub(super) async fn sessions(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let session = |name: &str| SessionId::new(name).map_err(Finding::broken);
    host.tell(AdapterMessage::EndSession { session: session("never begun")? });
    for _ in 0..3 {
        let request = test_request("echo", &json!({}))?.session(session("s")?);
        let id = host.ask(request);
        // It comes behind the request, which is not disturbed.
        host.tell(AdapterMessage::EndSession { session: session("s")? });
        host.answer(id).await?;
    }
    host.serves_on().await
}

pub(super) async fn drain(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.must_offer("sleep", &json!({"ms": 0})).await?;
    let mut before = Vec::new();
    for _ in 0..3 {
        before.push(host.ask_test("sleep", &json!({"ms": 100}))?);
    }
    host.tell(AdapterMessage::Drain);
    let after = host.ask_test("sleep", &json!({"ms": 0}))?;
    for id in before {
        host.answer(id).await?;
    }
    if host.process.is_none() {
        return Ok(());
    }
    host.leaves().await?;
    host.wire_ended().await?;
    match host.outcome_so_far(after) {
        // It was refused, or the worker had left before it came.
        Some(Outcome::Failed(error)) if error.kind == WorkerErrorKind::Draining => {
            demand(error.retryable, "`draining` is not marked as retryable")
        }
        None => Ok(()),
        other => Err(Finding::broken(format_args!("what came after Drain ends in {other:?}"))),
    }
}

pub(super) async fn terminate(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.serves_on().await?;
    host.process()?.terminate();
    host.leaves().await
}

/// A stream of `n` chunks that runs: its first chunk has come, and it waits for credit.
async fn begun_stream(host: &mut Host<'_>, n: u64) -> Findings<(u64, mpsc::Receiver<Payload>)> {
    let window = StreamWindow { chunks: 1, bytes: 1000 };
    let (id, mut chunks) = host.ask_stream(test_request("count", &json!({"n": n}))?, window);
    let first = host.chunk(id, &mut chunks).await?;
    demand(first.is_some(), "it ends too early")?;
    Ok((id, chunks))
}

pub(super) async fn terminate_while_busy(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.process()?;
    let (id, mut chunks) = begun_stream(&mut host, 20).await?;
    host.process()?.terminate();
    host.credit(id, 1, 1000);
    host.count_on(id, &mut chunks, 1, 20).await?;
    host.leaves().await
}

pub(super) async fn interrupt(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    for _ in 0..3 {
        host.process()?.interrupt();
        host.ping().await?;
    }
    host.serves_on().await
}

pub(super) async fn host_death(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.process()?;
    host.serves_on().await?;
    host.die();
    host.leaves().await
}

pub(super) async fn host_death_while_busy(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.process()?;
    let _chunks = begun_stream(&mut host, 1_000_000_000).await?;
    host.die();
    host.leaves().await?;
    let mut host = Host::start(examination).await?;
    host.ask_test("sleep", &json!({"ms": 3_600_000}))?;
    // It has the request then. One that is deaf while it works is judged by what it does next.
    let _ = host.ping().await;
    host.die();
    host.leaves().await
}
