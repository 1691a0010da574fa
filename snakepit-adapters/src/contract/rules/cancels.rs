//! What a Cancel does: whatever it meets, there is exactly one answer.

use serde_json::json;
use snakepit_core::WorkerErrorKind;
use snakepit_core::adapter::{Outcome, StreamWindow};

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings};
use crate::contract::host::{Host, test_request};

/// Long for a sleep that nobody cancels, and short enough to be waited for where it cannot be stopped.
const NAP: u64 = 1_000;

/// A cancelled request ends as cancelled, or as if nothing had been said.
fn is_over(outcome: Outcome) -> Findings {
    match outcome {
        Outcome::Answered(_) | Outcome::StreamEnded => Ok(()),
        Outcome::Failed(error) if error.kind == WorkerErrorKind::Cancelled => Ok(()),
        Outcome::Failed(error) => {
            Err(Finding::broken(format_args!("it ends as {:?}: {}", error.kind, error.message)))
        }
    }
}

pub(super) async fn cancel_running(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.must_offer("sleep", &json!({"ms": 0})).await?;
    let id = host.ask_test("sleep", &json!({"ms": NAP}))?;
    host.ping().await?;
    host.cancel(id);
    is_over(host.outcome(id).await?)?;
    // A Cancel that crosses its answer is ignored.
    host.cancel(id);
    host.serves_on().await
}

pub(super) async fn cancel_waiting(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.must_offer("sleep", &json!({"ms": 0})).await?;
    let at_once = u64::from(host.connected.capacity.min(64));
    let mut asked = Vec::new();
    for _ in 0..at_once + 3 {
        asked.push(host.ask_test("sleep", &json!({"ms": NAP}))?);
    }
    // The last ones first, as long as there is no room for them.
    for id in asked.iter().rev() {
        host.cancel(*id);
    }
    for id in asked {
        is_over(host.outcome(id).await?)?;
    }
    host.serves_on().await
}

pub(super) async fn cancel_stream(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    for taken in [1, 7] {
        let window = StreamWindow { chunks: 4, bytes: 1000 };
        let endless = test_request("count", &json!({"n": 1_000_000_000}))?;
        let (id, mut chunks) = host.ask_stream(endless, window);
        for _ in 0..taken {
            let chunk = host.chunk(id, &mut chunks).await?;
            let chunk = chunk.ok_or_else(|| Finding::broken("it ends too early"))?;
            host.credit(id, 1, u32::try_from(chunk.size()).unwrap_or(u32::MAX));
        }
        host.cancel(id);
        drop(chunks);
        is_over(host.outcome(id).await?)?;
    }
    host.serves_on().await
}
