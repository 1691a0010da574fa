//! A small host to drive by hand or from scripts: requests as lines of JSON on stdin, answers as lines on stdout.
//!
//! `cargo run --example pit -- examples/pit.toml`, then type
//! `{"id":1,"op":"execute","command":"add","args":{"a":1,"b":2}}`. What the file may say is in `docs/configuration.md`.

mod pit {
    pub(crate) mod answer;
    pub(crate) mod change;
    pub(crate) mod host;
    pub(crate) mod input;
    pub(crate) mod operation;
    pub(crate) mod request;
    pub(crate) mod subscription;
    pub(crate) mod under_way;
}

use std::io::IsTerminal;
use std::process::ExitCode;

use snakepit_adapters::{FromToml, Snakepit};

use crate::pit::host::Host;

/// An explanation and no host: what was said on the command line or in the file does not work.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours);
    log.with_max_level(tracing::Level::INFO).init();
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: pit FILE.toml");
        return ExitCode::from(BAD_USAGE);
    };
    let builder = match Snakepit::from_toml(file) {
        Ok(builder) => builder,
        Err(error) => {
            eprintln!("pit: {error}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("pit: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match Host::start(builder).await {
            Ok(host) => host.run().await,
            Err(error) => {
                eprintln!("pit: {error}");
                ExitCode::FAILURE
            }
        }
    })
}
