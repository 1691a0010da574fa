//! Calls over pipes, one after the other and many at once: T1 to T7.

use std::error::Error;

use crate::figures::Aim::{AtLeast, AtMost, Open};
use crate::figures::Judged::Ratio;
use crate::figures::{Brought, Program, Unit};
use crate::mux::Echo;
use crate::{adapter_alone, full_path, mux, pipe_block, process_pool};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("pipe_block", Unit::Micros, &[]),
    Program::new("worker_rust", Unit::Micros, &[Ratio("pipe_block", Open)]),
    Program::new("mux_pipe_rust", Unit::Micros, &[]),
    Program::new("adapter_rust", Unit::Micros, &[Ratio("mux_pipe_rust", Open)]),
    Program::new("t1_rust", Unit::Micros, &[Ratio("mux_pipe_rust", AtMost(1.5))]),
    Program::new("mux_pipe_py", Unit::Micros, &[]),
    Program::new("ppe", Unit::Micros, &[]),
    Program::new("t2_python", Unit::Micros, &[Ratio("mux_pipe_py", AtMost(1.6)), Ratio("ppe", AtMost(0.1))]),
    Program::new("mux_pipe_py_json", Unit::Micros, &[]),
    Program::new(
        "t3_python_json",
        Unit::Micros,
        &[Ratio("mux_pipe_py_json", AtMost(1.25)), Ratio("ppe", AtMost(0.125))],
    ),
    Program::new("mux_d2", Unit::PerSecond, &[]),
    Program::new("ppe_d2", Unit::PerSecond, &[]),
    Program::new(
        "t6_python_d2",
        Unit::PerSecond,
        &[Ratio("mux_d2", AtLeast(0.7)), Ratio("ppe_d2", AtLeast(5.0))],
    ),
    Program::new("mux_d64", Unit::PerSecond, &[]),
    Program::new(
        "t4_python_d64",
        Unit::PerSecond,
        &[Ratio("mux_d64", AtLeast(0.6)), Ratio("ppe_d2", AtLeast(20.0))],
    ),
    Program::new("mux_d64_rust", Unit::PerSecond, &[]),
    Program::new("adapter_d64_rust", Unit::PerSecond, &[Ratio("mux_d64_rust", Open)]),
    Program::new("t7_rust_d64", Unit::PerSecond, &[Ratio("mux_d64_rust", AtLeast(0.5))]),
];

/// One round of one program.
pub(crate) async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let figure = match program {
        "pipe_block" => pipe_block::p50(calls)?,
        "worker_rust" => pipe_block::worker_p50(calls)?,
        "mux_pipe_rust" => mux::p50(Echo::Rust, calls).await?,
        "mux_pipe_py" => mux::p50(Echo::Python, calls).await?,
        "mux_pipe_py_json" => mux::p50(Echo::PythonJson, calls).await?,
        "mux_d2" => mux::throughput(Echo::Python, 2, 1, calls).await?,
        "mux_d64" => mux::throughput(Echo::Python, 2, 32, calls * 10).await?,
        "mux_d64_rust" => mux::throughput(Echo::Rust, 1, 64, calls * 20).await?,
        "ppe" | "ppe_d2" => {
            let pool = process_pool::measure(calls / 10, 64)?;
            return Ok(vec![("ppe", pool.p50_us), ("ppe_d2", pool.per_second)]);
        }
        "adapter_rust" => adapter_alone::p50(calls).await?,
        "adapter_d64_rust" => adapter_alone::throughput(64, calls * 20).await?,
        "t1_rust" => full_path::rust_p50(calls).await?,
        "t2_python" => full_path::python_p50(calls).await?,
        "t3_python_json" => full_path::python_json_p50(calls).await?,
        "t4_python_d64" => full_path::python_throughput(64, calls * 2).await?,
        "t6_python_d2" => full_path::python_throughput(2, calls).await?,
        "t7_rust_d64" => full_path::rust_throughput(64, calls * 20).await?,
        other => return Err(format!("there is no program {other}").into()),
    };
    Ok(vec![(program, figure)])
}
