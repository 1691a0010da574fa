//! The worst worker: it answers like a good one, hears no TERM, no Drain and no end of file, and leaves descendants
//! wherever the system lets it.
//!
//! Its offspring is a grandchild in its group and a daemon of its own session whose environment is empty; see
//! [`flags`] for the rest. As a last net every process that it makes ends by itself within minutes.

mod flags;
mod offspring;
mod serving;

use std::io::{self, Write};
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use crate::stub_worker::flags::Flags as StubFlags;
use crate::worst_worker::flags::Flags;

/// How long anything of it lives if nobody ends it, in seconds: longer than any test, and not for ever.
const LAST_NET: u32 = 300;

/// Misbehaves as the flags say.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let flags = match Flags::parse(args) {
        Ok(flags) => flags,
        Err(error) => {
            eprintln!("worst-worker: {error}");
            return ExitCode::from(2);
        }
    };
    match misbehave(&flags) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("worst-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn misbehave(flags: &Flags) -> io::Result<ExitCode> {
    nix::unistd::alarm::set(LAST_NET);
    if !flags.is_polite && !flags.hears_term {
        // What it starts inherits this.
        let mut term = SigSet::empty();
        term.add(Signal::SIGTERM);
        term.thread_block()?;
    }
    if flags.raises_limits {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    offspring::leave(flags)?;
    if let Some(bytes) = flags.flood {
        print(bytes, &[&[b'x'; 99][..], b"\n"].concat().repeat(100))?;
    }
    if let Some(bytes) = flags.line {
        print(bytes, &vec![b'x'; 64 * 1024])?;
    }
    if flags.closes_stdout {
        nix::unistd::close(1)?;
    }
    if flags.is_polite {
        let stub = StubFlags::parse(std::iter::empty()).map_err(io::Error::other)?;
        crate::stub_worker::commands::worker(&stub).serve()
    }
    Ok(serving::serve(flags))
}

/// So many bytes, in pieces of some length.
fn print(bytes: usize, piece: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let len = left.min(piece.len());
        out.write_all(&piece[..len])?;
        left -= len;
    }
    out.flush()
}
