//! The full path over gRPC, and its references: T8 to T11.

use std::error::Error;

use snakepit_adapters::GrpcAdapter;
use snakepit_tests::lacking::python_with_extras;

use crate::echo;
use crate::figures::Aim::{AtLeast, AtMost, Open};
use crate::figures::Judged::Ratio;
use crate::figures::{Program, Unit};
use crate::full_path::{Bench, p50, throughput};
use crate::grpc_bare::Reference;

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("tonic_unary", Unit::Micros, &[]),
    Program::new("tonic_bidi", Unit::Micros, &[]),
    Program::new(
        "t8_grpc_rust",
        Unit::Micros,
        &[Ratio("tonic_bidi", AtMost(1.25)), Ratio("tonic_unary", Open)],
    ),
    Program::new("tonic_unary_d64", Unit::PerSecond, &[]),
    Program::new("tonic_bidi_d64", Unit::PerSecond, &[]),
    Program::new(
        "t9_grpc_rust_d64",
        Unit::PerSecond,
        &[Ratio("tonic_unary_d64", AtLeast(8.0)), Ratio("tonic_bidi_d64", Open)],
    ),
    Program::new("grpcio_unary", Unit::Micros, &[]),
    Program::new("t10_grpc_python", Unit::Micros, &[Ratio("grpcio_unary", AtMost(0.6))]),
    Program::new("grpcio_unary_d64", Unit::PerSecond, &[]),
    Program::new("t11_grpc_python_d64", Unit::PerSecond, &[Ratio("grpcio_unary_d64", AtLeast(10.0))]),
];

/// What is missing for a program, if something is.
pub(crate) fn missing(program: &str) -> Option<&'static str> {
    let needs_grpcio = program.contains("grpcio") || program.contains("grpc_python");
    (needs_grpcio && python_with_extras().is_none())
        .then_some("virtual environment with grpcio, which .ci/run makes")
}

/// One round of one program: microseconds, or calls per second.
pub(crate) async fn measure(program: &str, calls: usize) -> Result<f64, Box<dyn Error>> {
    let payload = || snakepit_adapters::Payload::bytes(vec![7; 64]);
    match program {
        "tonic_unary" => Reference::tonic().await?.unary_p50(calls).await,
        "tonic_bidi" => Reference::tonic().await?.bidi_p50(calls).await,
        "tonic_unary_d64" => Reference::tonic().await?.unary_throughput(64, calls * 5).await,
        "tonic_bidi_d64" => Reference::tonic().await?.bidi_throughput(64, calls * 20).await,
        "t8_grpc_rust" => p50(rust().await?, "echo", payload(), calls).await,
        "t9_grpc_rust_d64" => throughput(rust().await?, 64, calls * 20).await,
        "grpcio_unary" => Reference::grpcio().await?.unary_p50(calls).await,
        "grpcio_unary_d64" => Reference::grpcio().await?.unary_throughput(64, calls).await,
        "t10_grpc_python" => p50(python(0).await?, "echo", payload(), calls).await,
        "t11_grpc_python_d64" => throughput(python(63).await?, 64, calls * 10).await,
        other => Err(format!("there is no program {other}").into()),
    }
}

async fn rust() -> Result<Bench, Box<dyn Error>> {
    let worker = GrpcAdapter::new(std::env::current_exe()?).arg("port-worker");
    Bench::start(tempfile::tempdir()?, worker, 1, 0).await
}

async fn python(prefetch: u16) -> Result<Bench, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("echo.py");
    std::fs::write(&script, echo::PYTHON_PORT)?;
    let worker =
        GrpcAdapter::new(python_with_extras().ok_or("no virtual environment with grpcio")?).arg(script);
    Bench::start(folder, worker, 1, prefetch).await
}
