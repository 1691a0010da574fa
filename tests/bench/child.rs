//! Bare child processes of the reference programs, with a pipe each way.

use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// The interpreter itself: what is found as `python3` may be a script that looks for it, which takes longer than its start.
pub(crate) fn python() -> &'static Path {
    static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
        let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let path = found.ok().and_then(|output| String::from_utf8(output.stdout).ok());
        path.map_or_else(|| "python3".into(), |path| path.trim_end().into())
    });
    &PYTHON
}

/// A child that answers on its stdout what comes on its stdin. It is ended when this is dropped.
pub(crate) struct EchoChild {
    child: Child,
    pub(crate) to_child: Option<OwnedFd>,
    pub(crate) from_child: Option<OwnedFd>,
}

impl EchoChild {
    pub(crate) fn start(command: Command) -> io::Result<Self> {
        Self::start_on(command, Stdio::piped())
    }

    /// The same with another way to it than a pipe of its own.
    #[expect(
        clippy::disallowed_methods,
        reason = "a bare process is what is measured; it ends with this value"
    )]
    pub(crate) fn start_on(mut command: Command, stdin: Stdio) -> io::Result<Self> {
        let mut child = command.stdin(stdin).stdout(Stdio::piped()).spawn()?;
        let to_child = child.stdin.take().map(OwnedFd::from);
        let from_child = child.stdout.take().map(OwnedFd::from);
        Ok(Self { child, to_child, from_child })
    }

    /// This program's own echo worker.
    pub(crate) fn rust() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo-worker");
        Ok(Self::start(command)?)
    }

    /// This program's worker that keeps the contract; its stdin and stdout are moved to where the contract has them.
    pub(crate) fn port() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" port-worker 3<&0 4>&1 0<&- 1>&2"#]).arg(std::env::current_exe()?);
        command.env("SNAKEPIT_WIRE", "port");
        Ok(Self::start(command)?)
    }

    pub(crate) fn python(script: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(python());
        command.args(["-c", script]);
        Ok(Self::start(command)?)
    }
}

impl Drop for EchoChild {
    fn drop(&mut self) {
        // It may have ended with its pipe.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
