//! Benchmarks in one run: what a bare pipe can do, what Python's own pool does, and what the full path costs.
//!
//! `cargo run --release -p snakepit-tests --bin bench -- [--rounds N] [--calls N] [--current-thread] [NAME ..]`
//!
//! Rounds are interleaved and medians are printed: only ratios inside one run mean anything on a shared machine. Pin the
//! whole tree to one processor (`taskset -c 1 cargo run ..`) to compare two versions of the code; across processors the
//! waking of an idle one hides everything else.

mod adapter_alone;
mod ask;
mod bare_transfer;
mod beside_large;
mod calls;
mod child;
mod echo;
mod erlang;
mod figures;
mod full_path;
mod growth;
mod grpc;
mod grpc_bare;
mod in_process;
mod large;
mod memory;
mod mux;
mod pipe_block;
mod process_pool;
mod recovery;
mod sessions;
mod starts;
mod telemetry;

use std::error::Error;

use tokio::runtime::{Builder, Runtime};

use crate::ask::Ask;
use crate::figures::{Brought, Figures, Program};

fn main() -> Result<(), Box<dyn Error>> {
    // The program is its own echo worker, so that one binary is the whole bench.
    match std::env::args().nth(1).as_deref() {
        Some("echo-worker") => return Ok(echo::bare()?),
        Some("port-worker") => echo::port(std::env::args().nth(2).map_or(Ok(1), |threads| threads.parse())?),
        Some("sink") => return Ok(bare_transfer::sink()?),
        Some("tonic-echo") => return grpc_bare::serve(&std::env::args().nth(2).unwrap_or_default()),
        Some(memory::ROLE) => return alone(),
        _ => {}
    }
    let ask = Ask::parse(std::env::args().skip(1))?;
    let runtime = runtime(&ask)?;
    let mut figures = Figures::default();
    let programs = [
        calls::PROGRAMS,
        large::PROGRAMS,
        beside_large::PROGRAMS,
        grpc::PROGRAMS,
        starts::PROGRAMS,
        recovery::PROGRAMS,
        in_process::PROGRAMS,
        sessions::PROGRAMS,
        growth::PROGRAMS,
        telemetry::PROGRAMS,
    ]
    .concat();
    for round in 1..=ask.rounds {
        eprintln!("round {round} of {}", ask.rounds);
        for program in programs.iter().filter(|program| ask.wants(program.name)) {
            // It came along with another.
            if figures.rounds(program.name) >= round {
                continue;
            }
            if let Some(missing) = missing(program.name) {
                eprintln!("not measured: {}: {missing} is missing", program.name);
                continue;
            }
            for (name, figure) in runtime.block_on(measure(program.name, ask.calls))? {
                figures.add(name, figure);
            }
        }
    }
    println!("{}", figures.table(&programs));
    Ok(())
}

fn runtime(ask: &Ask) -> std::io::Result<Runtime> {
    if ask.current_thread {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().worker_threads(2).enable_all().build()
    }
}

/// What is missing for a program, if something is.
fn missing(program: &str) -> Option<&'static str> {
    grpc::missing(program).or_else(|| calls::missing(program)).or_else(|| erlang::missing(program))
}

/// One round of one program, and of those that are measured with it.
async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let is_of = |programs: &[Program]| programs.iter().any(|other| other.name == program);
    if is_of(grpc::PROGRAMS) {
        Ok(vec![(program, grpc::measure(program, calls).await?)])
    } else if is_of(large::PROGRAMS) {
        Ok(vec![(program, large::measure(program, calls).await?)])
    } else if is_of(beside_large::PROGRAMS) {
        beside_large::measure(program, calls)
    } else if is_of(starts::PROGRAMS) {
        starts::measure(program, calls).await
    } else if is_of(recovery::PROGRAMS) {
        recovery::measure(program, calls).await
    } else if is_of(in_process::PROGRAMS) {
        in_process::measure(program, calls).await
    } else if is_of(sessions::PROGRAMS) {
        sessions::measure(program, calls)
    } else if is_of(growth::PROGRAMS) {
        growth::measure(program, calls).await
    } else if is_of(telemetry::PROGRAMS) {
        telemetry::measure(program, calls)
    } else {
        calls::measure(program, calls).await
    }
}

/// The part of this program that measures what must be alone in its process.
fn alone() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(2);
    let (what, calls) = (args.next().unwrap_or_default(), args.next().unwrap_or_default().parse()?);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = match what.as_str() {
        "table" => sessions::table(calls)?,
        "map" => sessions::map(calls)?,
        beside if beside.starts_with(beside_large::PREFIX) => {
            runtime.block_on(beside_large::alone(beside, calls))?
        }
        "calls" => runtime.block_on(growth::of_memory(calls))?,
        told => runtime.block_on(telemetry::alone(told, calls))?,
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
