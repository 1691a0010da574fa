//! Lines of input, read on a thread of their own: a read of stdin cannot be taken back, and must not keep the host.

use std::io::{BufRead, Read};

use tokio::sync::mpsc;

/// The longest line; what is longer is answered as bad, and nothing is held of it.
const LINE_LIMIT: u64 = 256 << 20;
/// How many lines may wait to be carried out.
const LINES: usize = 64;

/// What was read.
pub(crate) enum Input {
    Line(Vec<u8>),
    TooLong,
}

/// Reads stdin until it ends.
pub(crate) fn lines() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        while let Some(input) = read_line(&mut stdin) {
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}

/// `None` at the end, which a read error is, too.
fn read_line(stdin: &mut impl BufRead) -> Option<Input> {
    let mut line = Vec::new();
    let read = stdin.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.ends_with(b"\n") || (read as u64) < LINE_LIMIT {
        return Some(Input::Line(line));
    }
    stdin.skip_until(b'\n').ok()?;
    Some(Input::TooLong)
}
