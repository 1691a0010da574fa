//! A start through the shim, step by step, beside a bare `posix_spawn`; in a small process and in one of 2 GB.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use snakepit_adapters::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_adapters::{PoolConfig, PortAdapter, ProcessSpec, Snakepit, SpawnStep};
use snakepit_tests::keeper::HANG;
use tokio::time::Instant;

use crate::figures::Figures;

/// Starts of each kind in one round.
const STARTS: usize = 20;
const LARGE: usize = 2 << 30;

/// What is measured in a process of one size, by the names of the table.
struct Names {
    bare: &'static str,
    whole: &'static str,
    steps: [(&'static str, SpawnStep); 4],
}

const SMALL_NAMES: Names = Names {
    bare: "bare posix_spawn",
    whole: "start through the shim, whole",
    steps: [
        ("of which: the shim is spawned", SpawnStep::ShimSpawned),
        ("of which: it says hello", SpawnStep::HelloReceived),
        ("of which: the registry commits", SpawnStep::IntentCommitted),
        ("of which: from go to started", SpawnStep::Started),
    ],
};

const LARGE_NAMES: Names = Names {
    bare: "bare posix_spawn, host of 2 GB",
    whole: "start through the shim, whole, host of 2 GB",
    steps: [
        ("of which: the shim is spawned (2 GB)", SpawnStep::ShimSpawned),
        ("of which: it says hello (2 GB)", SpawnStep::HelloReceived),
        ("of which: the registry commits (2 GB)", SpawnStep::IntentCommitted),
        ("of which: from go to started (2 GB)", SpawnStep::Started),
    ],
};

pub(crate) fn measure(roles: &Path, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    starts(roles, &SMALL_NAMES, figures)?;
    let mut heap = vec![0_u8; LARGE];
    for page in heap.chunks_mut(4096) {
        page[0] = 1;
    }
    let heap = std::hint::black_box(heap);
    starts(roles, &LARGE_NAMES, figures)?;
    drop(heap);
    Ok(())
}

fn starts(roles: &Path, names: &Names, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let directory = tempfile::tempdir()?;
    for _ in 0..STARTS {
        figures.took(names.bare, None, bare(roles)?);
        let steps = runtime.block_on(through_the_shim(roles, directory.path()))?;
        let mut last = Duration::ZERO;
        for (name, step) in names.steps {
            let (_, at) = steps.iter().find(|(seen, _)| *seen == step).ok_or("a step was not seen")?;
            figures.took(name, None, at.saturating_sub(last));
            last = *at;
            if step == SpawnStep::Started {
                figures.took(names.whole, Some(names.bare), *at);
            }
        }
    }
    Ok(())
}

/// A start as the standard library does it with `posix_spawn`: pipes, a group of its own, nothing else.
fn bare(roles: &Path) -> Result<Duration, Box<dyn Error>> {
    let mut command = Command::new(roles);
    command.arg("stranger").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the reference that the shim is measured against")]
    let mut child = command.spawn()?;
    let took = began.elapsed();
    child.kill()?;
    child.wait()?;
    Ok(took)
}

/// When each step was done, counted from the moment at which the boot began.
async fn through_the_shim(
    roles: &Path,
    data_dir: &Path,
) -> Result<Vec<(SpawnStep, Duration)>, Box<dyn Error>> {
    let (begins, beginnings) = channel();
    let (steps, seen) = channel();
    let adapter = PortAdapter::new(PathBuf::from(roles)).args(["stub-worker"]);
    let pool = PoolConfig::new("default", Timed { adapter, begins }).size(1);
    let pit = Snakepit::builder()
        .data_dir(data_dir)
        .observe_spawns(move |step| {
            // The other end is there for as long as the pit is.
            let _ = steps.send((step, Instant::now()));
        })
        .pool(pool)
        .start()
        .await?;
    pit.await_ready("default", HANG).await?;
    pit.shutdown(HANG).await;
    let began: Instant = beginnings.try_recv()?;
    Ok(seen.try_iter().map(|(step, at): (SpawnStep, Instant)| (step, at - began)).collect())
}

/// The port adapter, which says when a boot begins.
struct Timed {
    adapter: PortAdapter,
    begins: Sender<Instant>,
}

impl Adapter for Timed {
    fn name(&self) -> &'static str {
        self.adapter.name()
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        let spec = self.adapter.process_spec(worker);
        // Only the first start is asked about.
        let _ = self.begins.send(Instant::now());
        spec
    }

    fn connect(&self, connect: Connect) -> Connecting {
        self.adapter.connect(connect)
    }
}
