//! Streams, and what credit allows.

use serde_json::json;
use snakepit_core::adapter::StreamWindow;

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings, demand, demand_equal};
use crate::contract::host::{Host, test_request};

const SMALL: StreamWindow = StreamWindow { chunks: 4, bytes: 1000 };

pub(super) async fn stream_order(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let (id, mut chunks) = host.ask_stream(test_request("count", &json!({"n": 300}))?, SMALL);
    host.count_on(id, &mut chunks, 0, 300).await?;
    host.serves_on().await
}

pub(super) async fn empty_stream(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let (id, mut chunks) = host.ask_stream(test_request("count", &json!({"n": 0}))?, SMALL);
    host.count_on(id, &mut chunks, 0, 0).await
}

pub(super) async fn credit(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let window = StreamWindow { chunks: 2, bytes: 1000 };
    let (id, mut chunks) = host.ask_stream(test_request("count", &json!({"n": 5}))?, window);
    for i in 0..2 {
        let chunk = host.chunk(id, &mut chunks).await?;
        let item =
            chunk.ok_or_else(|| Finding::broken("it ends too early"))?.decode().map_err(Finding::broken)?;
        demand_equal("a chunk", &item, &json!({"i": i}))?;
    }
    // No credit is left. What the worker does wrong by now has arrived before the answers to these.
    for _ in 0..3 {
        host.ping().await?;
    }
    demand(chunks.try_recv().is_err(), "a chunk comes without credit")?;
    if host.connected.capacity > 1 {
        host.serves_on().await?;
    }
    // For what was taken, and no more: the reader's channel holds a window.
    host.credit(id, 2, 1000);
    host.count_on(id, &mut chunks, 2, 5).await
}

pub(super) async fn large_chunk(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    // One byte is less than any chunk of this stream.
    let window = StreamWindow { chunks: 8, bytes: 1 };
    let (id, mut chunks) = host.ask_stream(test_request("count", &json!({"n": 5}))?, window);
    host.count_on(id, &mut chunks, 0, 5).await
}
