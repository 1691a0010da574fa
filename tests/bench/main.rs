//! Benchmarks in one run: what a bare pipe can do, what Python's own pool does, and what the full path costs.
//!
//! `cargo run --release -p snakepit-tests --bin bench -- [--rounds N] [--calls N] [--current-thread] [NAME ..]`
//!
//! Rounds are interleaved and medians are printed: only ratios inside one run mean anything on a shared machine. Pin the
//! whole tree to one processor (`taskset -c 1 cargo run ..`) to compare two versions of the code; across processors the
//! waking of an idle one hides everything else.

mod adapter_alone;
mod ask;
mod child;
mod echo;
mod figures;
mod full_path;
mod grpc;
mod grpc_bare;
mod mux;
mod pipe_block;
mod process_pool;

use std::error::Error;

use crate::ask::Ask;
use crate::figures::{Figures, Program, Unit};
use crate::mux::Echo;

/// What is measured, what it is compared with, and what is aimed at.
const PROGRAMS: &[Program] = &[
    Program::new("pipe_block", Unit::Micros, &[]),
    Program::new("worker_rust", Unit::Micros, &[("pipe_block", "")]),
    Program::new("mux_pipe_rust", Unit::Micros, &[]),
    Program::new("adapter_rust", Unit::Micros, &[("mux_pipe_rust", "")]),
    Program::new("t1_rust", Unit::Micros, &[("mux_pipe_rust", "<= 1.5")]),
    Program::new("mux_pipe_py", Unit::Micros, &[]),
    Program::new("ppe", Unit::Micros, &[]),
    Program::new("t2_python", Unit::Micros, &[("mux_pipe_py", "<= 1.6"), ("ppe", "<= 0.1")]),
    Program::new("mux_pipe_py_json", Unit::Micros, &[]),
    Program::new("t3_python_json", Unit::Micros, &[("mux_pipe_py_json", "<= 1.25")]),
    Program::new("mux_d2", Unit::PerSecond, &[]),
    Program::new("ppe_d2", Unit::PerSecond, &[]),
    Program::new("t6_python_d2", Unit::PerSecond, &[("mux_d2", ">= 0.7"), ("ppe_d2", ">= 5")]),
    Program::new("mux_d64", Unit::PerSecond, &[]),
    Program::new("t4_python_d64", Unit::PerSecond, &[("mux_d64", ">= 0.6"), ("ppe_d2", ">= 20")]),
    Program::new("mux_d64_rust", Unit::PerSecond, &[]),
    Program::new("adapter_d64_rust", Unit::PerSecond, &[("mux_d64_rust", "")]),
    Program::new("t7_rust_d64", Unit::PerSecond, &[("mux_d64_rust", ">= 0.5")]),
];

fn main() -> Result<(), Box<dyn Error>> {
    // The program is its own echo worker, so that one binary is the whole bench.
    match std::env::args().nth(1).as_deref() {
        Some("echo-worker") => return Ok(echo::bare()?),
        Some("port-worker") => echo::port(),
        Some("tonic-echo") => return grpc_bare::serve(&std::env::args().nth(2).unwrap_or_default()),
        _ => {}
    }
    let ask = Ask::parse(std::env::args().skip(1))?;
    let runtime = if ask.current_thread {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?
    };
    let mut figures = Figures::default();
    let programs = [PROGRAMS, grpc::PROGRAMS].concat();
    for round in 1..=ask.rounds {
        eprintln!("round {round} of {}", ask.rounds);
        for program in programs.iter().filter(|program| ask.wants(program.name)) {
            if let Some(missing) = grpc::missing(program.name) {
                eprintln!("SKIPPED {}: no {missing}", program.name);
                continue;
            }
            figures.add(program.name, runtime.block_on(measure(program.name, ask.calls))?);
        }
    }
    println!("{}", figures.table(&programs));
    Ok(())
}

/// One round of one program: microseconds, or calls per second.
async fn measure(program: &str, calls: usize) -> Result<f64, Box<dyn Error>> {
    match program {
        "pipe_block" => pipe_block::p50(calls),
        "worker_rust" => pipe_block::worker_p50(calls),
        "mux_pipe_rust" => mux::p50(Echo::Rust, calls).await,
        "mux_pipe_py" => mux::p50(Echo::Python, calls).await,
        "mux_pipe_py_json" => mux::p50(Echo::PythonJson, calls).await,
        "mux_d2" => mux::throughput(Echo::Python, 2, 1, calls).await,
        "mux_d64" => mux::throughput(Echo::Python, 2, 32, calls * 10).await,
        "mux_d64_rust" => mux::throughput(Echo::Rust, 1, 64, calls * 20).await,
        "ppe" => Ok(process_pool::measure(calls / 10)?.p50_us),
        "ppe_d2" => Ok(process_pool::measure(calls / 10)?.per_second),
        "adapter_rust" => adapter_alone::p50(calls).await,
        "adapter_d64_rust" => adapter_alone::throughput(64, calls * 20).await,
        "t1_rust" => full_path::rust_p50(calls).await,
        "t2_python" => full_path::python_p50(calls).await,
        "t3_python_json" => full_path::python_json_p50(calls).await,
        "t4_python_d64" => full_path::python_throughput(64, calls * 2).await,
        "t6_python_d2" => full_path::python_throughput(2, calls).await,
        "t7_rust_d64" => full_path::rust_throughput(64, calls * 20).await,
        grpc => grpc::measure(grpc, calls).await,
    }
}
