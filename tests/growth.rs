//! What a hundred thousand calls leave behind in the host: nothing. Alone in its process, so that the counts are its own.

use std::path::PathBuf;
use std::time::Duration;

use snakepit_adapters::{Payload, PoolConfig, PoolRef, PortAdapter, Request, SessionId, Snakepit};
use snakepit_tests::oracle::Mark;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const CALLERS: usize = 50;
const CALLS: usize = 100_000;
/// A limit and no expectation.
const HANG: Duration = Duration::from_mins(5);
/// What the allocator may keep more: far less than one word for each call would need.
const SLACK_KB: u64 = 600;

/// What the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    tasks: usize,
    threads: usize,
    open_files: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s40_a_hundred_thousand_calls_leave_nothing_behind() {
    let (mark, directory) = (Mark::new(), tempfile::tempdir().unwrap());
    let adapter = PortAdapter::new(PathBuf::from(env!("CARGO_BIN_EXE_stub-worker")))
        .args(["--threads", "4"])
        .env(Mark::VARIABLE, mark.value());
    let config = PoolConfig::new("default", adapter).size(2).with(|options| {
        options.capacity = 4;
        // A sign of life is no growth, and may come between two counts.
        options.heartbeat.interval = HANG;
    });
    let pit = Snakepit::builder().data_dir(directory.path()).pool(config).start().await.unwrap();
    let pool = pit.pool("default").unwrap().clone();
    pool.await_full(HANG).await.unwrap();
    // Buffers, tables and the allocator take on their size.
    calls(&pool, CALLS).await;
    let (before, kb_before) = (settled(&pool).await, resident_kb());
    calls(&pool, CALLS).await;
    let (after, kb_after) = (settled(&pool).await, resident_kb());
    assert_eq!(before, after);
    assert!(kb_after <= kb_before + SLACK_KB, "memory grew from {kb_before} to {kb_after} kB");
    let report = pit.shutdown(Duration::from_secs(20)).await;
    assert_eq!(report.processes_left, [0_i32; 0], "{report:?}");
    mark.assert_nothing_left().await;
}

/// Calls of all kinds: plain ones, some in sessions, some that are left by their callers.
async fn calls(pool: &PoolRef, count: usize) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let pool = pool.clone();
        callers.spawn(async move {
            let payload = Payload::bytes(vec![7; 64]);
            for number in 0..count / CALLERS {
                let request = Request::new("echo", payload.clone());
                match number % 50 {
                    0 => {
                        let session = SessionId::new(&format!("session {caller}")).unwrap();
                        pool.execute(request.session(session)).await.unwrap();
                    }
                    1 => drop(timeout(Duration::ZERO, pool.execute(request)).await),
                    _ => assert_eq!(pool.execute(request).await.unwrap().payload, payload),
                }
            }
        });
    }
    timeout(HANG, callers.join_all()).await.expect("the calls hang");
}

/// What there is once every worker is idle, and the same at two looks.
async fn settled(pool: &PoolRef) -> Counts {
    let deadline = Instant::now() + HANG;
    let mut last = None;
    loop {
        let stats = pool.stats().await.unwrap();
        let now = counts();
        if stats.running + stats.waiting == 0 && last == Some(now) {
            return now;
        }
        assert!(Instant::now() < deadline, "the pool is not idle: {stats:?}");
        last = Some(now);
        sleep(Duration::from_millis(50)).await;
    }
}

fn counts() -> Counts {
    let entries = |folder| std::fs::read_dir(folder).unwrap().count();
    Counts {
        tasks: Handle::current().metrics().num_alive_tasks(),
        threads: entries("/proc/self/task"),
        open_files: entries("/proc/self/fd"),
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}
