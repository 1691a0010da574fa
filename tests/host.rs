//! The host that is to be killed: a small service with pools of bad workers, told over its stdin what to do.
//!
//! `host [--size N] [--grace MS] [--mode MODE] .. DATA_DIR MARK PROGRAM FLAGS..`; see [`plan`] for all of it. Each mode is a
//! file of this room, and so is what the host may be told.

mod churn;
mod commands;
mod cycles;
mod death;
mod descriptors;
mod exhausted;
mod hold;
mod inheritance;
mod plan;
mod runtimes;
mod service;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::host::plan::{Mode, Plan};

/// How long workers may take to be ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the host that the arguments describe.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let done = Plan::parse(args).map_err(Into::into).and_then(|plan| run(&plan));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("test-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let inherited = inheritance::spoil(plan)?;
    let heap = heap(plan.heap_mb);
    match plan.mode {
        Mode::Hold => runtime(plan)?.block_on(hold::run(plan))?,
        Mode::Churn => runtime(plan)?.block_on(churn::run(plan))?,
        Mode::Cycles(count) => runtime(plan)?.block_on(cycles::run(plan, count))?,
        Mode::Descriptors => runtime(plan)?.block_on(descriptors::run(plan))?,
        Mode::Exhausted => exhausted::run(plan)?,
        Mode::Runtimes(rounds) => runtimes::run(plan, rounds)?,
    }
    drop((heap, inherited));
    Ok(())
}

fn runtime(plan: &Plan) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    if let Some(keep_alive) = plan.thread_keep_alive {
        builder.thread_keep_alive(keep_alive);
    }
    builder.build()
}

/// So much memory in use, every page of it touched.
fn heap(megabytes: usize) -> Vec<u8> {
    let mut heap = vec![0_u8; megabytes << 20];
    for page in heap.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(heap)
}
