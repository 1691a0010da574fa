//! 64 MiB one way with nothing in between: a pipe or a socket, and a reader that keeps one buffer for it.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use tokio::time::Instant;

use crate::child::EchoChild;

/// How much goes one way.
pub(crate) const SIZE: usize = 64 << 20;

/// What it goes through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    Pipe,
    Socket,
}

/// The same reader in Python; how much, and through what, are its arguments.
const PYTHON: &str = r"
import os, socket, sys
size, kept = int(sys.argv[1]), bytearray(int(sys.argv[1]))
view = memoryview(kept)
if sys.argv[2] == 'socket':
    connection = socket.socket(fileno=os.dup(0))
    read = connection.recv_into
else:
    def read(into):
        return os.readv(0, [into])
while True:
    at = 0
    while at < size:
        got = read(view[at:])
        if not got:
            sys.exit()
        at += got
    os.write(1, b'.')
";

/// Takes all that comes into one buffer, and says a byte whenever that is full.
pub(crate) fn sink() -> io::Result<()> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut kept = vec![0; SIZE];
    loop {
        match input.read_exact(&mut kept) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        io::stdout().write_all(b".")?;
        io::stdout().flush()?;
    }
}

/// Bytes per second.
pub(crate) fn measure(through: Through, python: bool, transfers: usize) -> Result<f64, Box<dyn Error>> {
    let command = if python {
        let mut command = Command::new("python3");
        let name = if through == Through::Socket { "socket" } else { "pipe" };
        command.args(["-c", PYTHON, &SIZE.to_string(), name]);
        command
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("sink");
        command
    };
    let (mut to_child, mut child): (File, _) = match through {
        Through::Pipe => {
            let mut child = EchoChild::start(command)?;
            (child.to_child.take().ok_or("the child has no stdin")?.into(), child)
        }
        Through::Socket => {
            let (ours, theirs) = UnixStream::pair()?;
            let child = EchoChild::start_on(command, Stdio::from(OwnedFd::from(theirs)))?;
            (OwnedFd::from(ours).into(), child)
        }
    };
    let mut from_child = File::from(child.from_child.take().ok_or("the child has no stdout")?);
    let bytes = vec![7; SIZE];
    let mut send = || {
        to_child.write_all(&bytes)?;
        from_child.read_exact(&mut [0])
    };
    // The first fills the reader's buffer with pages.
    send()?;
    let start = Instant::now();
    for _ in 0..transfers {
        send()?;
    }
    Ok((SIZE * transfers) as f64 / start.elapsed().as_secs_f64())
}
