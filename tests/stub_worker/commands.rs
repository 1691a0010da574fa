//! The commands of the worker that keeps the contract.
//!
//! `echo` (value, or any bytes), `add` (a, b), `sleep` (ms), `spin` (ms of computing), `count` (n: a stream), `fail`
//! (message, kind), `remember` (key, value, in a session) and `recall`, `pid`, `steps` (n: tells its progress), `shout`
//! (text: prints it), `inherited` (name: whether a program that is started here finds a variable of that name).

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use snakepit_adapters::worker::{CommandError, CommandResult, Context, Worker};
use snakepit_adapters::{JSON, Payload, WorkerErrorKind};

use crate::stub_worker::flags::Flags;

/// What happens when a request begins, whatever its command.
struct Begin {
    crash_after: Option<u64>,
    begun: AtomicU64,
    print_flood: u64,
    flooded: AtomicBool,
}

impl Begin {
    fn request(&self) {
        if self.crash_after.is_some_and(|answers| self.begun.fetch_add(1, Ordering::Relaxed) >= answers) {
            std::process::abort();
        }
        if self.print_flood > 0 && !self.flooded.swap(true, Ordering::Relaxed) {
            print_flood(self.print_flood);
        }
    }
}

pub(crate) fn worker(flags: &Flags) -> Worker {
    let begin = Arc::new(Begin {
        crash_after: flags.crash_after,
        begun: AtomicU64::new(0),
        print_flood: flags.print_flood.unwrap_or(0),
        flooded: AtomicBool::new(false),
    });
    // Every handler starts with it.
    let on = |begin: &Arc<Begin>| {
        let begin = Arc::clone(begin);
        move || begin.request()
    };
    let hears_cancel = !flags.ignore_cancel;
    let worker = Worker::new().agent("stub-worker").threads(flags.threads);
    let worker = if let Some(capacity) = flags.capacity { worker.capacity(capacity) } else { worker };
    let (echo, add, sleeps, spins, count) = (on(&begin), on(&begin), on(&begin), on(&begin), on(&begin));
    let (fails, remembers, recalls, pid) = (on(&begin), on(&begin), on(&begin), on(&begin));
    let (naps, steps, shouts, inherits) = (on(&begin), on(&begin), on(&begin), on(&begin));
    worker
        .raw_command("echo", move |_ctx, payload| {
            echo();
            answer_with(payload)
        })
        .command("add", move |_ctx, Add { a, b }| {
            add();
            Ok(a + b)
        })
        .command("sleep", move |ctx, Millis { ms }| {
            sleeps();
            sleep(ctx, Duration::from_millis(ms), hears_cancel).map(|()| ms)
        })
        .command("nap", move |ctx, Millis { ms }| {
            naps();
            ctx.progress(0.0, Some(1.0), "asleep".to_owned());
            sleep(ctx, Duration::from_millis(ms), hears_cancel).map(|()| ms)
        })
        .command("spin", move |ctx, Millis { ms }| {
            spins();
            spin(ctx, Duration::from_millis(ms), hears_cancel).map(|()| ms)
        })
        .stream("count", move |_ctx, Count { n }, out| {
            count();
            (0..n).try_for_each(|i| out.send(&json!({"i": i})))
        })
        .command("fail", move |_ctx, Fail { message, kind }| {
            fails();
            Err::<(), _>(CommandError::new(message).kind(kind.unwrap_or(WorkerErrorKind::Error)))
        })
        .command("remember", move |ctx, Remember { key, value }| {
            remembers();
            ctx.session_state(|kept: &mut Map<String, Value>| {
                kept.insert(key, value);
                kept.clone()
            })
        })
        .command("recall", move |ctx, Nothing {}| {
            recalls();
            ctx.session_state(|kept: &mut Map<String, Value>| kept.clone())
        })
        .command("steps", move |ctx, Count { n }| {
            steps();
            (1..=n).for_each(|done| ctx.progress(done as f64, Some(n as f64), format!("step {done}")));
            Ok(n)
        })
        .command("shout", move |_ctx, Shout { text }| {
            shouts();
            println!("{text}");
            Ok(())
        })
        .command("inherited", move |_ctx, Variable { name }| {
            inherits();
            let found = Command::new("printenv").arg(name).output();
            found.map(|output| output.status.success()).map_err(|error| CommandError::new(error.to_string()))
        })
        .command("pid", move |_ctx, Nothing {}| {
            pid();
            Ok(std::process::id())
        })
}

/// The arguments of the commands, each by its name or in this order.
#[derive(Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize)]
struct Millis {
    ms: u64,
}

#[derive(Deserialize)]
struct Count {
    n: u64,
}

#[derive(Deserialize)]
struct Fail {
    message: String,
    kind: Option<WorkerErrorKind>,
}

#[derive(Deserialize)]
struct Remember {
    key: String,
    value: Value,
}

#[derive(Deserialize)]
struct Shout {
    text: String,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Echo {
    value: Value,
}

/// The value that JSON arguments hold, or bytes as they are.
fn answer_with(payload: Payload) -> CommandResult<Payload> {
    if payload.content_type != JSON {
        return Ok(payload);
    }
    let Echo { value } = payload
        .decode()
        .map_err(|error| CommandError::new(error.to_string()).kind(WorkerErrorKind::InvalidArgument))?;
    Payload::json(&value).map_err(|error| CommandError::new(error.to_string()))
}

fn sleep(ctx: &Context, duration: Duration, hears_cancel: bool) -> CommandResult<()> {
    if !hears_cancel {
        crate::stub_worker::sleep(duration);
        return Ok(());
    }
    if ctx.cancelled_within(duration) { Err(CommandError::cancelled()) } else { Ok(()) }
}

fn spin(ctx: &Context, duration: Duration, hears_cancel: bool) -> CommandResult<()> {
    let until = tokio::time::Instant::now() + duration;
    while tokio::time::Instant::now() < until {
        if hears_cancel && ctx.cancelled() {
            return Err(CommandError::cancelled());
        }
        std::hint::spin_loop();
    }
    Ok(())
}

/// Writes lines to stdout and stderr in turn. A host that is gone ends the process by other means.
fn print_flood(bytes: u64) {
    let line = [b"flood ".repeat(16), b"\n".to_vec()].concat();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    while left > 0 {
        let len = left.min(line.len());
        if out.write_all(&line[..len]).is_err() || err.write_all(&line[..len]).is_err() {
            return;
        }
        left -= len;
    }
    let _ = out.flush();
}
