//! The end of a pit at the system's request: a service manager's TERM, or Ctrl-C.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::snakepit::handle::Pit;
use crate::snakepit::shutdown::{self, ShutdownReport};

/// What asks a program to end.
struct Requests {
    terminate: Signal,
    interrupt: Signal,
}

impl Requests {
    /// Listens from here on: the signals no longer end the program by themselves.
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Shuts down within `budget` of the first request, and at once with the second.
pub(super) async fn run(pit: &Pit, budget: Duration) -> io::Result<ShutdownReport> {
    let mut requests = Requests::listen()?;
    tokio::select! {
        () = requests.next() => {}
        // It has ended already, or is ended by somebody else; what is left is to say how.
        _ = pit.root.wait(None) => {}
    }
    let shutdown = shutdown::run(pit, budget);
    tokio::pin!(shutdown);
    tokio::select! {
        report = &mut shutdown => Ok(report),
        () = requests.next() => {
            // Brings the end forward; the report is the first one's.
            let (report, _) = tokio::join!(shutdown, shutdown::run(pit, Duration::ZERO));
            Ok(report)
        }
    }
}
