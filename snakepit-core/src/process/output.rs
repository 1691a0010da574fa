//! What a process prints: cut into lines of bounded length, the last of them kept for error messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// A longer line is cut here, so that a worker cannot fill the host's memory.
const LINE_LIMIT: usize = 64 * 1024;
/// How many lines of stderr an error message may show.
const TAIL_LINES: usize = 20;
/// How much of one such line.
const TAIL_LINE_LIMIT: usize = 1000;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Stdout,
    Stderr,
}

/// One printed line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputLine {
    pub(crate) text: String,
    /// Whether it was longer than what is kept.
    pub(crate) cut: bool,
}

/// Cuts bytes into lines; keeps at most one line of at most [`LINE_LIMIT`] bytes.
#[derive(Debug, Default)]
struct LineCutter {
    line: Vec<u8>,
    cut: bool,
}

impl LineCutter {
    fn push(&mut self, mut bytes: &[u8], mut emit: impl FnMut(OutputLine)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.keep(&bytes[..end]);
            emit(self.take());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_LIMIT - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self) -> OutputLine {
        let text = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        self.line.clear();
        OutputLine { text, cut: std::mem::take(&mut self.cut) }
    }

    /// What came after the last line end, if anything did.
    fn finish(&mut self) -> Option<OutputLine> {
        (!self.line.is_empty()).then(|| self.take())
    }
}

/// The last lines that a process wrote to stderr. Cheap to clone; the lines are shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct StderrTail(Arc<Mutex<VecDeque<String>>>);

impl StderrTail {
    fn push(&self, line: &OutputLine) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.text.chars().take(TAIL_LINE_LIMIT).collect());
    }

    /// The lines kept so far, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Reads one stream to its end, line by line. Never stops reading, so that the process never blocks on a full pipe.
pub(super) async fn drain(
    mut source: pipe::Receiver,
    stream: OutputStream,
    tail: StderrTail,
    on_line: impl Fn(OutputStream, OutputLine) + Send + Sync,
) {
    let mut cutter = LineCutter::default();
    let mut buffer = vec![0; 8 * 1024];
    let emit = |line: OutputLine| {
        if stream == OutputStream::Stderr {
            tail.push(&line);
        }
        on_line(stream, line);
    };
    // A read error on a pipe means what its end means: nothing more will come.
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        cutter.push(&buffer[..count], &emit);
    }
    if let Some(line) = cutter.finish() {
        emit(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<OutputLine> {
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            cutter.push(chunk, |line| lines.push(line));
        }
        lines.extend(cutter.finish());
        lines
    }

    fn whole(text: &str) -> OutputLine {
        OutputLine { text: text.to_owned(), cut: false }
    }

    #[test]
    fn lines_are_found_wherever_the_reads_end() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n", b"\nd"]), [whole("a"), whole("bc"), whole(""), whole("d")]);
        assert_eq!(lines(&[]), []);
    }

    #[test]
    fn a_line_without_end_is_cut_at_the_limit_and_says_so() {
        let long = vec![b'x'; LINE_LIMIT * 3 + 1];
        let lines = lines(&[&long, b"more\nnext\n"]);
        assert_eq!((lines[0].text.len(), lines[0].cut), (LINE_LIMIT, true));
        assert_eq!(lines[1], whole("next"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines(&[b"\xffx\n"]), [whole("\u{fffd}x")]);
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let tail = StderrTail::default();
        for n in 0..100 {
            tail.push(&whole(&format!("line {n}")));
        }
        let lines = tail.lines();
        assert_eq!((lines.len(), &*lines[0], &*lines[19]), (20, "line 80", "line 99"));
    }
}
