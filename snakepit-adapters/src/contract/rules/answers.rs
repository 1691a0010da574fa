//! Requests and their answers, the good and the bad.

use bytes::Bytes;
use serde_json::{Value, json};
use snakepit_core::adapter::{Outcome, StreamWindow};
use snakepit_core::{JSON, Payload, Request, SessionId, WorkerErrorKind};

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings, demand, demand_equal};
use crate::contract::host::{Host, NO_COMMAND, Terms, test_request};

const MIB: usize = 1 << 20;

pub(super) async fn handshake(examination: &Examination) -> Findings {
    let host = Host::start(examination).await?;
    demand(host.connected.capacity >= 1, "its capacity is 0")
}

/// Sends payloads all at once, and checks that each comes back.
async fn come_back(examination: &Examination, payloads: Vec<Payload>) -> Findings {
    let mut host = Host::start(examination).await?;
    let request = |payload: &Payload| Request::new("snakepit.test.echo", payload.clone());
    let asked: Vec<_> = payloads.into_iter().map(|payload| (host.ask(request(&payload)), payload)).collect();
    for (id, payload) in asked {
        let answer = host.answer(id).await?;
        demand_equal("content type", &answer.content_type, &payload.content_type)?;
        let lengths = |payload: &Payload| payload.attachments.iter().map(Bytes::len).collect::<Vec<_>>();
        demand_equal("length of the data", &answer.data.len(), &payload.data.len())?;
        demand_equal("lengths of the attachments", &lengths(&answer), &lengths(&payload))?;
        demand(answer == payload, "it comes back changed")?;
    }
    Ok(())
}

pub(super) async fn echo(examination: &Examination) -> Findings {
    let json = |value: &Value| Payload::json(value).map_err(Finding::broken);
    let text =
        Payload { content_type: "text/plain; charset=utf-8".into(), ..Payload::bytes("\u{e4}\u{1f40d}") };
    come_back(
        examination,
        vec![
            json(&json!({"a": [1, 2.5, null, true], "\u{e4}": "\u{1f40d}"}))?,
            json(&json!([]))?,
            json(&json!(null))?,
            Payload::bytes((0..=u8::MAX).collect::<Bytes>()),
            Payload::bytes(""),
            text,
        ],
    )
    .await
}

pub(super) async fn attachments(examination: &Examination) -> Findings {
    let parts = [&b"one"[..], b"", b"\0\xff"].map(Bytes::from_static).to_vec();
    let of_json = Payload::json(&json!({"parts": 3})).map_err(Finding::broken)?;
    come_back(
        examination,
        vec![
            Payload { attachments: parts.clone(), ..of_json },
            Payload { attachments: parts, ..Payload::bytes("data") },
            Payload { attachments: vec![Bytes::new(); 300], ..Payload::bytes("") },
        ],
    )
    .await
}

/// Bytes that are no repetition of a short pattern, so that a part in the wrong place is noticed.
fn bytes(len: usize, seed: u32) -> Bytes {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

pub(super) async fn large_bodies(examination: &Examination) -> Findings {
    let attached = vec![bytes(MIB, 1), Bytes::new(), bytes(262_145, 2)];
    // Around the length at which a body is cut, and well beyond.
    let mut payloads: Vec<_> = [262_100, 262_144, 262_200, 3 * MIB + 7]
        .into_iter()
        .map(|len| Payload::bytes(bytes(len, 3)))
        .collect();
    payloads.push(Payload { attachments: attached, ..Payload::bytes(bytes(MIB + 1, 4)) });
    come_back(examination, payloads).await
}

pub(super) async fn both_ways_at_once(examination: &Examination) -> Findings {
    come_back(examination, (0..16).map(|seed| Payload::bytes(bytes(MIB, seed))).collect()).await
}

pub(super) async fn many_requests(examination: &Examination) -> Findings {
    let payload = |n: u32| Payload::json(&json!({"n": n})).map_err(Finding::broken);
    come_back(examination, (0..1000).map(payload).collect::<Result<_, _>>()?).await
}

pub(super) async fn everything_beside(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let session = SessionId::new("a session \u{1f40d}").map_err(Finding::broken)?;
    let request = test_request("echo", &json!({"a": 1}))?
        .session(session)
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .metadata("k\u{e4}", "v")
        .metadata("k\u{e4}", "")
        .metadata("", "x".repeat(65_535));
    let id = host.ask(request.clone());
    demand(host.answer(id).await? == request.payload, "it comes back changed")
}

pub(super) async fn unknown_command(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    for payload in [Payload::bytes("x"), Payload::json(&json!({})).map_err(Finding::broken)?] {
        let id = host.ask(Request::new(NO_COMMAND, payload));
        demand_equal("kind of error", &host.failure(id).await?, &WorkerErrorKind::UnknownCommand)?;
    }
    let window = StreamWindow::default();
    let (id, _chunks) = host.ask_stream(Request::new(NO_COMMAND, Payload::bytes("")), window);
    demand_equal("kind of error", &host.failure(id).await?, &WorkerErrorKind::UnknownCommand)?;
    host.serves_on().await
}

pub(super) async fn error_shape(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let message = "no luck: \u{1f40d}";
    let id = host.ask_test("fail", &json!({"message": message}))?;
    match host.outcome(id).await? {
        Outcome::Failed(error) if error.kind == WorkerErrorKind::UnknownCommand => {
            return Err(Finding::not_offered(error.message));
        }
        Outcome::Failed(error) => {
            demand_equal("kind of error", &error.kind, &WorkerErrorKind::Error)?;
            demand_equal("message", &error.message.as_str(), &message)?;
        }
        other => return Err(Finding::broken(format_args!("it ends in {other:?}"))),
    }
    host.serves_on().await
}

pub(super) async fn arguments(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    for args in [json!({"ms": 1}), json!([1])] {
        let id = host.ask_test("sleep", &args)?;
        let answer = host.answer(id).await?;
        demand_equal("content type", &answer.content_type.as_ref(), &JSON)?;
        demand_equal("answer", &answer.decode::<f64>().map_err(Finding::broken)?, &1.0)?;
    }
    for args in [json!("text"), json!(7), json!({})] {
        let id = host.ask_test("sleep", &args)?;
        demand_equal("kind of error", &host.failure(id).await?, &WorkerErrorKind::InvalidArgument)?;
    }
    host.serves_on().await
}

pub(super) async fn streaming_not_supported(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let refused = |kind: WorkerErrorKind| match kind {
        WorkerErrorKind::StreamingNotSupported => Ok(()),
        WorkerErrorKind::UnknownCommand => Err(Finding::not_offered("neither echo nor count is there")),
        other => Err(Finding::broken(format_args!("it is refused as {other:?}"))),
    };
    let id = host.ask_test("count", &json!({"n": 1}))?;
    refused(host.failure(id).await?)?;
    let (id, _chunks) = host.ask_stream(test_request("echo", &json!({}))?, StreamWindow::default());
    refused(host.failure(id).await?)?;
    host.serves_on().await
}

pub(super) async fn payload_limit(examination: &Examination) -> Findings {
    let terms = Terms { payload_limit: 10_000, ..Terms::default() };
    let mut host = Host::start_on(examination, terms).await?;
    host.must_offer("echo", &json!({})).await?;
    let within = host.ask(Request::new("snakepit.test.echo", Payload::bytes(bytes(10_000, 1))));
    host.answer(within).await?;
    let beyond = host.ask(Request::new("snakepit.test.echo", Payload::bytes(bytes(10_001, 1))));
    demand_equal("kind of error", &host.failure(beyond).await?, &WorkerErrorKind::PayloadTooLarge)?;
    host.serves_on().await
}

pub(super) async fn several_at_once(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    host.must_offer("sleep", &json!({"ms": 0})).await?;
    if host.connected.capacity < 2 {
        return Err(Finding::not_offered("its capacity is 1"));
    }
    let long = host.ask_test("sleep", &json!({"ms": 3_600_000}))?;
    for _ in 0..10 {
        let short = host.ask_test("sleep", &json!({"ms": 0}))?;
        host.answer(short).await?;
    }
    host.cancel(long);
    demand(host.outcome_so_far(long).is_none(), "an hour has passed in no time")
}

pub(super) async fn tells_started(examination: &Examination) -> Findings {
    let mut host = Host::start(examination).await?;
    let id = host.ask(Request::new(NO_COMMAND, Payload::bytes("")));
    host.outcome(id).await?;
    demand(host.started.is_empty(), "it tells when a request begins, and was not asked to")?;
    let terms = Terms { wants_started: true, ..Terms::default() };
    let mut host = Host::start_on(examination, terms).await?;
    if !host.connected.tells_started {
        return Err(Finding::not_offered("it does not tell when a request begins"));
    }
    let asked: Vec<u64> = (0..50).map(|_| host.ask(Request::new(NO_COMMAND, Payload::bytes("")))).collect();
    for id in asked {
        host.failure(id).await?;
        let told = host.started.iter().filter(|started| **started == id).count();
        demand_equal(&format!("beginnings of request {id} before its answer"), &told, &1)?;
    }
    Ok(())
}
