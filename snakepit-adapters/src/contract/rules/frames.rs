//! Single frames: what a receiver must put up with, and what not.

use bytes::Bytes;
use serde_json::json;
use snakepit_core::{Payload, Request, WorkerError, WorkerErrorKind};

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings, demand, demand_equal};
use crate::contract::host::NO_COMMAND;
use crate::contract::raw_host::{A_LATER_FEATURE, RawHost, execute, frame, greeting, hello};
use crate::port::frame::{
    BodyLayout, HEADER_LEN, Header, Kind, PROTOCOL, Ready, RequestLayout, STARTED, read_json, read_payload,
};

/// A code that no version so far has given a meaning.
const UNKNOWN: u8 = 0x7e;
/// A version that no worker of this one speaks.
const A_LATER_VERSION: u32 = 1_000_000;

pub(super) async fn byte_by_byte(examination: &Examination) -> Findings {
    let mut host = RawHost::start(examination).await?;
    for byte in hello(&json!([1, 2])) {
        host.write(&[byte]).await?;
    }
    host.expect(Kind::Ready, 0).await?;
    for byte in execute(1, NO_COMMAND, Payload::bytes("x"))? {
        host.write(&[byte]).await?;
    }
    host.expect(Kind::Error, 1).await.map(drop)
}

/// Greets a worker, and reads what it says of itself.
async fn ready(host: &mut RawHost<'_>, hello: &[u8]) -> Findings<Ready> {
    host.write(hello).await?;
    let said = host.expect(Kind::Ready, 0).await?;
    read_json(Kind::Ready, &said.body).map_err(Finding::broken)
}

pub(super) async fn version(examination: &Examination) -> Findings {
    for versions in
        [json!([PROTOCOL]), json!([PROTOCOL, A_LATER_VERSION]), json!([A_LATER_VERSION, PROTOCOL])]
    {
        let mut host = RawHost::start(examination).await?;
        let chosen = ready(&mut host, &hello(&versions)).await?.protocol;
        demand_equal(&format!("version, of {versions}"), &chosen, &PROTOCOL)?;
    }
    Ok(())
}

pub(super) async fn features(examination: &Examination) -> Findings {
    for offered in [&[][..], &[A_LATER_FEATURE], &[A_LATER_FEATURE, STARTED]] {
        let mut host = RawHost::start(examination).await?;
        let honoured = ready(&mut host, &greeting(&json!([PROTOCOL]), offered)).await?.features;
        for feature in &honoured {
            let is_offered = offered.contains(&feature.as_str());
            demand(is_offered, format_args!("it honours {feature:?}, and was offered {offered:?}"))?;
            demand(feature == STARTED, format_args!("it honours {feature:?}, whatever that may be"))?;
        }
        host.write(&execute(1, NO_COMMAND, Payload::bytes("x"))?).await?;
        if !honoured.is_empty() {
            host.expect(Kind::Started, 1).await?;
        }
        host.expect(Kind::Error, 1).await?;
    }
    Ok(())
}

pub(super) async fn pong_numbers(examination: &Examination) -> Findings {
    let mut host = RawHost::start(examination).await?;
    host.write(&[hello(&json!([1])), frame(Kind::Ping, 7, b"")].concat()).await?;
    host.expect(Kind::Ready, 0).await?;
    host.expect(Kind::Pong, 7).await?;
    host.pongs(0).await?;
    host.pongs(u64::MAX).await
}

pub(super) async fn optional_frames(examination: &Examination) -> Findings {
    let mut host = RawHost::greeted(examination).await?;
    for (code, id, body_len) in [(UNKNOWN, 0, 0), (UNKNOWN, 9, 300_000), (Kind::HostCall.code(), 1, 5)] {
        let header = Header { code, optional: true, more: false, id, body_len };
        host.write(&[&header.to_bytes()[..], &vec![0; body_len]].concat()).await?;
    }
    host.pongs(1).await
}

pub(super) async fn cut_requests(examination: &Examination) -> Findings {
    let mut host = RawHost::greeted(examination).await?;
    let data: Bytes = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
    let request = Request::new("snakepit.test.echo", Payload::bytes(data.clone()));
    let layout = RequestLayout::new(&request, None, None).map_err(Finding::broken)?;
    let body = execute(5, &request.command, request.payload.clone())?.split_off(HEADER_LEN);
    demand_equal("length", &body.len(), &layout.body_len())?;
    // An empty part, one in the middle of the first field, one in the middle of a length.
    let cuts = [0, 0, 2, 21, 30, 5_000, body.len(), body.len()];
    let ends = cuts.iter().skip(1);
    for (number, (from, to)) in cuts.iter().zip(ends).enumerate() {
        let (kind, more) = (if number == 0 { Kind::Execute } else { Kind::Part }, number + 2 < cuts.len());
        let header = Header::of(kind, 5, to - from, more);
        host.write(&[&header.to_bytes()[..], &body[*from..*to]].concat()).await?;
        if more {
            host.pongs(100 + number as u64).await?;
        }
    }
    let answer = host.next().await?;
    if answer.kind == Kind::Error {
        return Err(Finding::not_offered("it has no snakepit.test.echo"));
    }
    demand_equal("answer", &(answer.kind, answer.id), &(Kind::Result, 5))?;
    let payload = read_payload(answer.body).map_err(Finding::broken)?;
    demand(payload.data == data, "it comes back changed")
}

pub(super) async fn cancel_between_parts(examination: &Examination) -> Findings {
    let mut host = RawHost::greeted(examination).await?;
    let body = execute(5, "snakepit.test.echo", Payload::bytes(vec![b'x'; 1_000]))?.split_off(HEADER_LEN);
    let part = |kind: Kind, body: &[u8], more: bool| {
        [&Header::of(kind, 5, body.len(), more).to_bytes()[..], body].concat()
    };
    host.write(&part(Kind::Execute, &body[..500], true)).await?;
    host.write(&frame(Kind::Cancel, 5, b"")).await?;
    host.pongs(1).await?;
    host.write(&part(Kind::Part, &body[500..], false)).await?;
    let answer = host.next().await?;
    demand_equal("answer", &(answer.kind, answer.id), &(Kind::Error, 5))?;
    match read_json::<WorkerError>(Kind::Error, &answer.body).map_err(Finding::broken)?.kind {
        WorkerErrorKind::Cancelled => Ok(()),
        WorkerErrorKind::UnknownCommand => Err(Finding::not_offered("it has no snakepit.test.echo")),
        other => Err(Finding::broken(format_args!("it ends as {other:?}"))),
    }
}

pub(super) async fn late_words(examination: &Examination) -> Findings {
    let mut host = RawHost::greeted(examination).await?;
    host.write(&frame(Kind::Cancel, 77, b"")).await?;
    host.write(&frame(Kind::Credit, 77, &[0xff; 8])).await?;
    host.write(&frame(Kind::EndSession, 0, b"unknown")).await?;
    host.pongs(1).await
}

pub(super) async fn no_common_version(examination: &Examination) -> Findings {
    let mut host = RawHost::start(examination).await?;
    host.write(&hello(&json!([99]))).await?;
    host.leaves_with(78).await
}

pub(super) async fn torn_frame(examination: &Examination) -> Findings {
    let mut host = RawHost::greeted(examination).await?;
    let whole = execute(1, NO_COMMAND, Payload::bytes("x"))?;
    host.write(&whole[..whole.len() - 3]).await?;
    host.die();
    host.leaves_with(0).await
}

pub(super) async fn breaches(examination: &Examination) -> Findings {
    let raw = |code: u8, more: bool, id: u64, body: &[u8]| {
        let header = Header { code, optional: false, more, id, body_len: body.len() };
        [&header.to_bytes()[..], body].concat()
    };
    let mut reserved = frame(Kind::Ping, 1, b"");
    reserved[6] = 1;
    let mut flags = frame(Kind::Ping, 1, b"");
    flags[5] = 0x80;
    let begun = |kind: Kind| raw(kind.code(), true, 3, b"");
    for (word, bytes) in [
        ("length_too_short", vec![0, 0, 0, 11]),
        ("length_too_long", vec![0xff; 4]),
        ("length_too_long", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("reserved_bits", flags),
        ("reserved_bits", reserved),
        ("unknown_kind", raw(UNKNOWN, false, 0, b"")),
        ("unknown_kind", raw(Kind::Result.code(), false, 1, b"\0\0\0\0\0\0\0\0")),
        ("more_not_allowed", raw(Kind::Ping.code(), true, 1, b"")),
        ("request_id", execute(0, NO_COMMAND, Payload::bytes(""))?),
        ("part_without_start", raw(Kind::Part.code(), false, 4, b"")),
        ("body_under_way", [begun(Kind::Execute), begun(Kind::Execute)].concat()),
        ("body_lengths", raw(Kind::Execute.code(), false, 1, b"short")),
        ("body_lengths", raw(Kind::Cancel.code(), false, 1, b"x")),
        ("text", raw(Kind::EndSession.code(), false, 0, b"\xff")),
        ("out_of_order", hello(&json!([1]))),
    ] {
        let mut host = RawHost::greeted(examination).await?;
        host.write(&bytes).await?;
        host.leaves_with(70).await.map_err(|finding| match finding {
            Finding::Broken(what) => Finding::Broken(format!("{word}: {what}")),
            not_offered @ Finding::NotOffered(_) => not_offered,
        })?;
    }
    Ok(())
}
