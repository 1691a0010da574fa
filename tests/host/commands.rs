//! What the host is told over its stdin, a line at a time.

use std::io::BufRead;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::host::death;

/// Starts to listen. Words that mean death are obeyed where they are heard, whatever the rest of the host is doing.
///
/// A driver that closes the host's stdin, or never had it, only says no more.
pub(super) fn listen() -> UnboundedReceiver<String> {
    let (says, said) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            death::die(&line);
            if says.send(line).is_err() {
                return;
            }
        }
    });
    said
}
