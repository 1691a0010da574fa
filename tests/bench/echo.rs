//! The echo workers: bare ones for the references, and ones that keep the worker contract.

use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use snakepit_adapters::Payload;
use snakepit_adapters::worker::{Context, Worker};

use crate::memory;

/// Echoes whatever comes, read by read: no frame is looked into, so that nothing is faster.
pub(crate) fn bare() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = input.read(&mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        output.write_all(&bytes[..read])?;
        output.flush()?;
    }
}

/// A worker of the full path, which runs so many requests at once and waits with the others.
pub(crate) fn port(threads: u16) -> ! {
    let hold = |ctx: &Context, payload| {
        ctx.progress(0.0, None, "begun");
        ctx.cancelled_within(Duration::from_mins(10));
        Ok(payload)
    };
    let kept = OnceLock::<Bytes>::new();
    let give = move |_: &Context, payload: Payload| {
        let (size,): (usize,) = payload.decode()?;
        Ok(Payload::bytes(kept.get_or_init(|| vec![7; size].into()).clone()))
    };
    Worker::new()
        .threads(threads)
        .capacity(64)
        .raw_command("echo", |_ctx, payload| Ok(payload))
        .raw_command("hold", hold)
        .raw_command("take", |_ctx, payload| Ok(Payload::json(&payload.data.len())?))
        .raw_command("give", give)
        .raw_command("peak", |_ctx, _payload| Ok(Payload::json(&memory::peak()?)?))
        .serve()
}

/// The least that a Python worker can be: read what is there, cut it into frames, answer each in one joined write.
pub(crate) const PYTHON: &str = r"
import os, struct
unpack = struct.Struct('>IQ').unpack_from
pack = struct.Struct('>IQ').pack
rest = b''
while True:
    read = os.read(0, 65536)
    if not read:
        break
    data = rest + read
    at, end, out = 0, len(data), []
    while end - at >= 12:
        length, number = unpack(data, at)
        if end - at < 4 + length:
            break
        out.append(pack(length, number))
        out.append(data[at + 12:at + 4 + length])
        at += 4 + length
    rest = data[at:]
    os.write(1, b''.join(out))
";

/// The same with a JSON envelope of 5 keys, read and written anew.
pub(crate) const PYTHON_JSON: &str = r"
import json, os, struct
unpack = struct.Struct('>IQ').unpack_from
pack = struct.Struct('>IQ').pack
rest = b''
while True:
    read = os.read(0, 65536)
    if not read:
        break
    data = rest + read
    at, end, out = 0, len(data), []
    while end - at >= 12:
        length, number = unpack(data, at)
        if end - at < 4 + length:
            break
        args = json.loads(data[at + 12:at + 4 + length])
        answer = json.dumps(args).encode()
        out.append(pack(8 + len(answer), number))
        out.append(answer)
        at += 4 + length
    rest = data[at:]
    os.write(1, b''.join(out))
";

/// A Python worker of the full path. Its argument says how many requests it runs at once.
pub(crate) const PYTHON_PORT: &str = r"
import sys, time
from snakepit_worker import Context, Worker

worker = Worker(threads=int((sys.argv[1:] or ['1'])[0]))


@worker.command
def hold(data: bytes, ctx: Context) -> bytes:
    ctx.progress(0, None, 'begun')
    time.sleep(600)
    return data


@worker.command
def echo(data: bytes) -> bytes:
    return data


@worker.command
def echo_json(a: int, b: float, c: str, d: list, e: dict):
    return {'a': a, 'b': b, 'c': c, 'd': d, 'e': e}


@worker.command
def take(data: bytes) -> int:
    return len(data)


kept = []


@worker.command
def give(size: int) -> bytes:
    if not kept:
        kept.append(b'7' * size)
    return kept[0]


@worker.command
def peak() -> int:
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) * 1024


worker.run()
";

/// The 5 keys that go there and back.
pub(crate) fn five_keys() -> serde_json::Value {
    serde_json::json!({"a": 1, "b": 2.5, "c": "three", "d": [4, 5, 6], "e": {"f": true}})
}
