//! A line that grows while work is done; on anything but a terminal, only its end is printed.

use std::io::{IsTerminal, Write};

/// How wide the bar is, in characters.
const WIDTH: usize = 40;

/// Progress towards a known end.
pub(crate) struct Progress {
    done: usize,
    total: usize,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self { done: 0, total }
    }

    /// One more is done.
    pub(crate) fn step(&mut self, what: &str) {
        self.done += 1;
        let filled = self.done * WIDTH / self.total.max(1);
        if std::io::stdout().is_terminal() {
            print!("\r[{:<WIDTH$}] {}/{} {what:<40.40}", "#".repeat(filled), self.done, self.total);
            // A terminal that is gone shows no progress.
            let _ = std::io::stdout().flush();
        }
        if self.done == self.total {
            println!(
                "{}{} of {} files read",
                if std::io::stdout().is_terminal() { "\n" } else { "" },
                self.done,
                self.total
            );
        }
    }
}
