//! A supervised pool of Python workers doing real work on real files, a session, a stream, a crash that heals, and the
//! proof that nothing is left behind.
//!
//! `cargo run --example first_pool [FILES]`: without files it reads this repository's own Rust and Python sources.
//! With the feature `grpc`, and `grpcio` installed, `--grpc` reaches the same workers over gRPC.

mod first_pool {
    pub(crate) mod chapters;
    pub(crate) mod progress;
    pub(crate) mod proof;
    pub(crate) mod sources;
    pub(crate) mod table;
}

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snakepit_adapters::port::PortAdapter;
use snakepit_core::{PoolConfig, Snakepit};

use crate::first_pool::{chapters, proof, sources};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::ERROR).init();
    let files = sources::chosen()?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if sources::over_grpc() && !cfg!(feature = "grpc") {
        return Err(
            "--grpc needs the feature of that name: cargo run --example first_pool --features grpc".into()
        );
    }
    let pool = pool(here.join("workers/source_worker.py"));

    let started = tokio::time::Instant::now();
    let pit = Snakepit::builder().data_dir(here.join("var/first_pool")).pool(pool.size(4)).start().await?;
    pit.await_ready("default", Duration::from_secs(15)).await?;
    chapters::heading("A pool of 4 Python workers");
    println!("first worker ready after {} ms", started.elapsed().as_millis());

    chapters::spread_work(&pit, &files).await?;
    chapters::session(&pit).await?;
    chapters::stream(&pit, &files).await?;
    chapters::crash(&pit).await?;
    chapters::tree(&pit).await?;

    chapters::heading("A graceful shutdown");
    let pids = proof::pids(&pit).await?;
    let report = pit.shutdown(Duration::from_secs(10)).await;
    for pool in &report.pools {
        println!(
            "pool {}: {} workers left when asked, {} were killed; {} ms in all",
            pool.pool, pool.workers_left, pool.workers_killed, report.took_ms
        );
    }
    proof::nothing_left(&report, &pids)
}

/// The same workers over either wire.
fn pool(script: PathBuf) -> PoolConfig {
    #[cfg(feature = "grpc")]
    if sources::over_grpc() {
        return PoolConfig::new("default", snakepit_adapters::GrpcAdapter::python(script));
    }
    PoolConfig::new("default", PortAdapter::python(script))
}
