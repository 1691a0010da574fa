//! Large payloads over the port wire, one way at a time, and their references: T12 and T13.

use std::error::Error;

use snakepit_adapters::{Payload, PayloadError, Request};
use tokio::time::Instant;

use crate::bare_transfer::{self, SIZE, Through};
use crate::figures::Aim::{AtLeast, AtMost, Open};
use crate::figures::Judged::Ratio;
use crate::figures::{Judged, Program, Unit};
use crate::full_path::{self, Bench};
use crate::process_pool::{self, Library};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("bare_pipe", Unit::BytesPerSecond, &[]),
    Program::new("bare_socket", Unit::BytesPerSecond, &[]),
    Program::new("t12_rust_take", Unit::BytesPerSecond, RUST),
    Program::new("t12_rust_give", Unit::BytesPerSecond, RUST),
    Program::new("bare_pipe_py", Unit::BytesPerSecond, &[]),
    Program::new("bare_socket_py", Unit::BytesPerSecond, &[]),
    Program::new("t13_python_take", Unit::BytesPerSecond, PYTHON),
    Program::new("t13_python_give", Unit::BytesPerSecond, PYTHON),
    Program::new("ppe_1mib", Unit::Micros, &[]),
    Program::new("t13_python_1mib", Unit::Micros, &[Ratio("ppe_1mib", AtMost(0.33))]),
];
const RUST: &[Judged] = &[Ratio("bare_socket", AtLeast(0.7)), Ratio("bare_pipe", Open)];
const PYTHON: &[Judged] = &[Ratio("bare_socket_py", AtLeast(0.7)), Ratio("bare_pipe_py", Open)];

/// One round of one program: bytes per second, or microseconds.
pub(crate) async fn measure(program: &str, calls: usize) -> Result<f64, Box<dyn Error>> {
    let transfers = (calls / 250).clamp(2, 20);
    match program {
        "bare_pipe" => bare_transfer::measure(Through::Pipe, false, transfers),
        "bare_socket" => bare_transfer::measure(Through::Socket, false, transfers),
        "bare_pipe_py" => bare_transfer::measure(Through::Pipe, true, transfers),
        "bare_socket_py" => bare_transfer::measure(Through::Socket, true, transfers),
        "t12_rust_take" => through_pool(Bench::rust(1).await?, Way::Take, transfers).await,
        "t12_rust_give" => through_pool(Bench::rust(1).await?, Way::Give, transfers).await,
        "t13_python_take" => through_pool(Bench::python(1, 0).await?, Way::Take, transfers).await,
        "t13_python_give" => through_pool(Bench::python(1, 0).await?, Way::Give, transfers).await,
        "ppe_1mib" => Ok(process_pool::measure(Library::Executor, calls / 10, 1 << 20)?.p50_us),
        "t13_python_1mib" => {
            let argument = Payload::bytes(vec![7; 1 << 20]);
            full_path::p50(Bench::python(1, 0).await?, "take", argument, calls / 10).await
        }
        other => Err(format!("there is no program {other}").into()),
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To the worker.
    Take,
    /// From the worker.
    Give,
}

impl Way {
    /// The request that sends so many bytes on this way.
    pub(crate) fn request(self, size: usize) -> Result<Request, PayloadError> {
        Ok(match self {
            Self::Take => Request::new("take", Payload::bytes(vec![7; size])),
            Self::Give => Request::new("give", Payload::json(&[size])?),
        })
    }
}

/// Bytes per second of a caller who drops each answer before it asks again.
async fn through_pool(bench: Bench, way: Way, transfers: usize) -> Result<f64, Box<dyn Error>> {
    let pool = bench.pool()?;
    let request = way.request(SIZE)?;
    let caller = tokio::spawn(async move {
        let expected = pool.execute(request.clone()).await?.payload;
        let start = Instant::now();
        for _ in 0..transfers {
            let answer = pool.execute(request.clone()).await?.payload;
            assert_eq!(answer.size(), expected.size(), "an answer of another size");
        }
        Ok::<_, snakepit_adapters::ExecuteError>((SIZE * transfers) as f64 / start.elapsed().as_secs_f64())
    });
    let per_second = caller.await??;
    bench.end().await?;
    Ok(per_second)
}
