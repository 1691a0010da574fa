//! The worker's end in Rust, whose host says what chance has made.

use std::collections::HashSet;
use std::io::{Read, Write};

use serde_json::json;
use snakepit_adapters::port::frame::{Decoder, Incoming, Kind, Side};
use snakepit_adapters::worker::Worker;

use crate::fuzz::input::Input;

const HELLO: &[u8] = b"\x00\x00\x00\x2f\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00{\"protocol\":[1],\"features\":[\"started\"]}";

fn worker() -> Worker {
    Worker::new()
        .raw_command("echo", |_ctx, payload| Ok(payload))
        .command("sum", |_ctx, numbers: Vec<i64>| {
            Ok(numbers.iter().fold(0_i64, |sum, n| sum.wrapping_add(*n)))
        })
        .stream("count", |_ctx, (n,): (u64,), out| {
            (0..n.min(10)).try_for_each(|i| out.send(&json!({"i": i})))
        })
}

pub(super) fn bears(input: &mut Input) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("worker end: {error}");
    let (from_host, mut to_worker) = std::io::pipe().map_err(|error| failed(&error))?;
    let (mut from_worker, to_host) = std::io::pipe().map_err(|error| failed(&error))?;
    let mut bytes = input.bytes(Side::Host);
    let is_greeted = !input.one_in(5);
    if is_greeted {
        bytes.splice(..0, HELLO.iter().copied());
    }
    let serving = std::thread::spawn(move || worker().serve_on(from_host.into(), to_host.into()));
    for piece in input.pieces(&bytes) {
        // A worker that has left reads no more.
        if to_worker.write_all(piece).is_err() {
            break;
        }
    }
    drop(to_worker);
    let mut said = Vec::new();
    from_worker.read_to_end(&mut said).map_err(|error| failed(&error))?;
    match serving.join() {
        Ok(0 | 70 | 78) => {}
        Ok(code) => return Err(format!("worker end: it leaves with code {code}")),
        Err(_) => return Err("worker end: it panics".into()),
    }
    is_well_said(&said, is_greeted)
}

/// Whatever it was told, what it says is right: whole frames, Ready first, and no answer to what has not begun.
fn is_well_said(said: &[u8], tells_started: bool) -> Result<(), String> {
    let mut decoder = Decoder::new(Side::Worker, usize::MAX);
    decoder.buffer().extend_from_slice(said);
    let mut running = HashSet::new();
    let mut is_ready = false;
    loop {
        let frame = match decoder.next_incoming() {
            Ok(Some(Incoming::Frame(frame))) => frame,
            Ok(Some(Incoming::Begun { .. })) => continue,
            Ok(None) => return Ok(()),
            Err(error) => return Err(format!("worker end: it says {error}")),
        };
        let is_right = match frame.kind {
            Kind::Ready => !std::mem::replace(&mut is_ready, true),
            Kind::Started => running.insert(frame.id),
            // An Error may come from the queue.
            Kind::Error => running.remove(&frame.id) || is_ready,
            Kind::Result | Kind::End => running.remove(&frame.id) || !tells_started,
            _ => is_ready,
        };
        if !is_right {
            return Err(format!("worker end: {} for {} out of turn", frame.kind, frame.id));
        }
    }
}
