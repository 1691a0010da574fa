//! Calls over pipes, one after the other and many at once: T1 to T7.

use std::error::Error;

use snakepit_adapters::Encoding;
use snakepit_tests::lacking::python_with_extras;

use crate::erlang::Peer;
use crate::figures::Aim::{AtLeast, AtMost, Open};
use crate::figures::Judged::Ratio;
use crate::figures::{Brought, Program, Unit};
use crate::mux::Echo;
use crate::process_pool::Library;
use crate::{adapter_alone, erlang, full_path, mux, pipe_block, process_pool};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("pipe_block", Unit::Micros, &[]),
    Program::new("worker_rust", Unit::Micros, &[Ratio("pipe_block", Open)]),
    Program::new("mux_pipe_rust", Unit::Micros, &[]),
    Program::new("adapter_rust", Unit::Micros, &[Ratio("mux_pipe_rust", Open)]),
    Program::new("erl_port", Unit::Micros, &[]),
    Program::new(
        "t1_rust",
        Unit::Micros,
        &[Ratio("mux_pipe_rust", AtMost(1.5)), Ratio("erl_port", AtMost(1.0))],
    ),
    Program::new("mux_pipe_py", Unit::Micros, &[]),
    Program::new("ppe", Unit::Micros, &[]),
    Program::new("mp_pool", Unit::Micros, &[]),
    Program::new("loky", Unit::Micros, &[]),
    Program::new("erl_port_py", Unit::Micros, &[]),
    Program::new(
        "t2_python",
        Unit::Micros,
        &[
            Ratio("mux_pipe_py", AtMost(1.6)),
            Ratio("ppe", AtMost(0.1)),
            Ratio("loky", AtMost(0.05)),
            Ratio("mp_pool", Open),
            Ratio("erl_port_py", Open),
        ],
    ),
    Program::new("mux_pipe_py_json", Unit::Micros, &[]),
    Program::new(
        "t3_python_json",
        Unit::Micros,
        &[Ratio("mux_pipe_py_json", AtMost(1.25)), Ratio("ppe", AtMost(0.125))],
    ),
    Program::new("mux_d64", Unit::PerSecond, &[]),
    Program::new("ppe_all", Unit::PerSecond, &[]),
    Program::new("mp_pool_map", Unit::PerSecond, &[]),
    Program::new("loky_all", Unit::PerSecond, &[]),
    Program::new("erl_port_py_d64", Unit::PerSecond, &[]),
    Program::new(
        "t4_python_d64",
        Unit::PerSecond,
        &[
            Ratio("mux_d64", AtLeast(0.6)),
            Ratio("ppe_all", AtLeast(20.0)),
            Ratio("mp_pool_map", AtLeast(6.0)),
            Ratio("loky_all", Open),
            Ratio("erl_port_py_d64", AtLeast(1.0)),
        ],
    ),
    Program::new("mux_d64_json", Unit::PerSecond, &[]),
    Program::new(
        "t5_python_d64_json",
        Unit::PerSecond,
        &[Ratio("ppe_all", AtLeast(5.0)), Ratio("mux_d64_json", Open)],
    ),
    Program::new("t5_python_d64_msgpack", Unit::PerSecond, &[Ratio("ppe_all", AtLeast(10.0))]),
    Program::new("mux_d2", Unit::PerSecond, &[]),
    Program::new("ppe_d2", Unit::PerSecond, &[]),
    Program::new(
        "t6_python_d2",
        Unit::PerSecond,
        &[Ratio("mux_d2", AtLeast(0.7)), Ratio("ppe_d2", AtLeast(5.0))],
    ),
    Program::new("mux_d64_rust", Unit::PerSecond, &[]),
    Program::new("adapter_d64_rust", Unit::PerSecond, &[Ratio("mux_d64_rust", Open)]),
    Program::new("erl_port_d64", Unit::PerSecond, &[]),
    Program::new(
        "t7_rust_d64",
        Unit::PerSecond,
        &[Ratio("mux_d64_rust", AtLeast(0.5)), Ratio("erl_port_d64", AtLeast(2.0))],
    ),
];

/// What is missing for a program, if something is.
pub(crate) fn missing(program: &str) -> Option<&'static str> {
    if program.starts_with("loky") {
        return process_pool::loky().is_none().then_some("loky, which .ci/run installs,");
    }
    let needs_msgpack = program.ends_with("msgpack");
    (needs_msgpack && python_with_extras().is_none()).then_some("msgpack, which .ci/run installs,")
}

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
        "mux_d64_json" => mux::throughput(Echo::PythonJson, 2, 32, calls * 5).await?,
        "mux_d64_rust" => mux::throughput(Echo::Rust, 1, 64, calls * 20).await?,
        "ppe" | "ppe_d2" | "ppe_all" => {
            let pool = process_pool::measure(Library::Executor, calls / 10, 64)?;
            return Ok(vec![
                ("ppe", pool.p50_us),
                ("ppe_d2", pool.per_second_d2),
                ("ppe_all", pool.per_second_all),
            ]);
        }
        "mp_pool" | "mp_pool_map" => {
            let pool = process_pool::measure(Library::Pool, calls / 10, 64)?;
            return Ok(vec![("mp_pool", pool.p50_us), ("mp_pool_map", pool.per_second_all)]);
        }
        "loky" | "loky_all" => {
            let pool = process_pool::measure(Library::Loky, calls / 10, 64)?;
            return Ok(vec![("loky", pool.p50_us), ("loky_all", pool.per_second_all)]);
        }
        "erl_port" => erlang::measure(Peer::Port, 1, calls)?.p50_us,
        "erl_port_py" => erlang::measure(Peer::PythonPort, 1, calls)?.p50_us,
        "erl_port_d64" => erlang::measure(Peer::Port, 64, calls * 10)?.per_second,
        "erl_port_py_d64" => erlang::measure(Peer::TwoPythonPorts, 64, calls * 10)?.per_second,
        "adapter_rust" => adapter_alone::p50(calls).await?,
        "adapter_d64_rust" => adapter_alone::throughput(64, calls * 20).await?,
        "t1_rust" => full_path::rust_p50(calls).await?,
        "t2_python" => full_path::python_p50(calls).await?,
        "t3_python_json" => full_path::python_json_p50(calls).await?,
        "t4_python_d64" => full_path::python_throughput(64, calls * 2).await?,
        "t5_python_d64_json" => full_path::python_values(Encoding::Json, calls * 2).await?,
        "t5_python_d64_msgpack" => full_path::python_values(Encoding::MessagePack, calls * 2).await?,
        "t6_python_d2" => full_path::python_throughput(2, calls).await?,
        "t7_rust_d64" => full_path::rust_throughput(64, calls * 20).await?,
        other => return Err(format!("there is no program {other}").into()),
    };
    Ok(vec![(program, figure)])
}
