//! What a port worker runs, and the way to speak to it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snakepit_core::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_core::{ProcessSpec, ResourceLimit, TermTarget, UserIds, Wire};

use crate::port::connection;
use crate::program::{WorkerProgram, describe_program};

/// Workers that speak frames over two pipes: the default way, for a worker in any language.
///
/// The program finds its end of the wire as `proto/README.md` says. A worker in Python finds the worker SDK on its
/// `PYTHONPATH` and needs nothing installed.
///
/// ```
/// use snakepit_adapters::port::PortAdapter;
///
/// let python = PortAdapter::python("worker.py").env("MODEL", "small");
/// let any = PortAdapter::new("/usr/local/bin/worker").args(["--threads", "2"]).cwd("/srv/data");
/// # let _ = (python, any);
/// ```
#[derive(Clone, Debug)]
pub struct PortAdapter {
    pub(crate) program: WorkerProgram,
}

impl PortAdapter {
    /// Workers that run `program`: a path, or a name that is looked up in the host's `PATH`.
    ///
    /// A relative path with a slash counts from the host's current directory at this moment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: WorkerProgram::new(program) }
    }

    /// Workers that run a Python script with the `python3` of the host's `PATH`.
    ///
    /// A relative script counts from [`cwd`](Self::cwd) where one is set, otherwise from the host's current directory
    /// at this moment.
    pub fn python(script: impl Into<PathBuf>) -> Self {
        Self { program: WorkerProgram::python(script) }
    }

    /// Puts the wire on the workers' standard input and output, for programs that cannot use file descriptors 3 and 4.
    /// What such a worker prints must go to stderr: on stdout it is a breach that costs the worker.
    pub fn stdio(mut self) -> Self {
        self.program.asked.wire = Wire::Stdio;
        self
    }

    describe_program!();
}

impl Adapter for PortAdapter {
    fn name(&self) -> &'static str {
        "port"
    }

    fn prepare(&self, data_dir: &Path) -> Result<(), AdapterFailure> {
        WorkerProgram::prepare(data_dir)
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        let wire = if self.program.asked.wire == Wire::Stdio { "stdio" } else { "port" };
        self.program.spec(worker, wire).map(Some)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        Box::pin(connection::open(connect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snakepit_core::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

    #[test]
    fn a_worker_is_told_where_its_wire_is() {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let life = WorkerLife { worker, incarnation: Incarnation(1) };
        let context = WorkerContext { life, data_dir: "/data".into() };
        let told = |adapter: PortAdapter| {
            let spec = adapter.process_spec(&context).unwrap().unwrap();
            (spec.wire, spec.env[std::ffi::OsStr::new("SNAKEPIT_WIRE")].clone().into_string().unwrap())
        };
        assert_eq!(told(PortAdapter::new("x")), (Wire::Pipes, "port".into()));
        assert_eq!(told(PortAdapter::new("x").stdio()), (Wire::Stdio, "stdio".into()));
    }
}
