//! Erlang's own means, where `erl` is installed: a `gen_server` in front of a port, and a pool that lends its workers.

use std::error::Error;
use std::ffi::OsString;
use std::process::Command;
use std::sync::LazyLock;

use crate::child::python;
use crate::echo;

const SCRIPT: &str = include_str!("peers.escript");

/// What is called.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// Workers in Erlang itself, borrowed and given back.
    Pool,
    /// The bare echo worker in Rust.
    Port,
    /// The bare echo loop in Python; two of them.
    PythonPort,
    TwoPythonPorts,
}

/// What one run says.
pub(crate) struct Peers {
    pub(crate) p50_us: f64,
    pub(crate) per_second: f64,
}

/// What is missing for a program, if something is.
pub(crate) fn missing(program: &str) -> Option<&'static str> {
    static ERL: LazyLock<bool> = LazyLock::new(|| Command::new("escript").output().is_ok());
    (program.starts_with("erl") && !*ERL).then_some("erl")
}

pub(crate) fn measure(peer: Peer, callers: usize, calls: usize) -> Result<Peers, Box<dyn Error>> {
    let what = match peer {
        Peer::Pool => "pool",
        Peer::Port | Peer::PythonPort => "port",
        Peer::TwoPythonPorts => "two_ports",
    };
    let mut args: Vec<OsString> = vec![what.into()];
    args.extend([callers, calls.max(callers)].map(|count| count.to_string().into()));
    match peer {
        Peer::Pool => {}
        Peer::Port => args.extend([std::env::current_exe()?.into(), "echo-worker".into()]),
        Peer::PythonPort | Peer::TwoPythonPorts => {
            args.extend([python().into(), "-c".into(), echo::PYTHON.into()]);
        }
    }
    run(&args)
}

/// A look-up in a table of Erlang's own that holds so many names, asked for one `stride` after the other.
pub(crate) fn ets(stride: usize, names: usize) -> Result<Peers, Box<dyn Error>> {
    run(&["ets".into(), stride.to_string().into(), names.to_string().into()])
}

fn run(args: &[OsString]) -> Result<Peers, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("peers.escript");
    std::fs::write(&script, SCRIPT)?;
    let mut command = Command::new("escript");
    command.arg(script).args(args);
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("escript: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let (p50_us, per_second) = serde_json::from_slice(&output.stdout)?;
    Ok(Peers { p50_us, per_second })
}
