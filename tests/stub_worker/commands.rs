//! The commands of the worker that keeps the contract.
//!
//! `echo` (any bytes), `add` (a, b), `sleep` (ms), `spin` (ms of computing), `count` (n: a stream), `fail` (kind,
//! message), `remember` (value, in a session) and `recall`, `pid`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use snakepit_adapters::WorkerErrorKind;
use snakepit_adapters::worker::{CommandError, CommandResult, Context, Worker};

use crate::flags::Flags;

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
    worker
        .raw_command("echo", move |_ctx, payload| {
            echo();
            Ok(payload)
        })
        .command("add", move |_ctx, (a, b): (i64, i64)| {
            add();
            Ok(a + b)
        })
        .command("sleep", move |ctx, (ms,): (u64,)| {
            sleeps();
            sleep(ctx, Duration::from_millis(ms), hears_cancel)
        })
        .command("spin", move |ctx, (ms,): (u64,)| {
            spins();
            spin(ctx, Duration::from_millis(ms), hears_cancel)
        })
        .stream("count", move |_ctx, (n,): (u64,), out| {
            count();
            (0..n).try_for_each(|i| out.send(&i))
        })
        .command("fail", move |_ctx, (kind, message): (String, String)| {
            fails();
            let kind = serde_json::from_value(Value::String(kind)).unwrap_or(WorkerErrorKind::Error);
            Err::<(), _>(CommandError::new(message).kind(kind))
        })
        .command("remember", move |ctx, (value,): (Value,)| {
            remembers();
            ctx.session_state(|kept: &mut Value| *kept = value)
        })
        .command("recall", move |ctx, (): ()| {
            recalls();
            ctx.session_state(|kept: &mut Value| kept.clone())
        })
        .command("pid", move |_ctx, (): ()| {
            pid();
            Ok(std::process::id())
        })
}

fn sleep(ctx: &Context, duration: Duration, hears_cancel: bool) -> CommandResult<()> {
    if !hears_cancel {
        crate::sleep(duration);
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

/// Writes lines to stdout. A host that is gone ends the process by other means.
fn print_flood(bytes: u64) {
    let line = [b"flood ".repeat(16), b"\n".to_vec()].concat();
    let mut out = std::io::stdout().lock();
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    while left > 0 {
        let len = left.min(line.len());
        if out.write_all(&line[..len]).is_err() {
            return;
        }
        left -= len;
    }
    let _ = out.flush();
}
