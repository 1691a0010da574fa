//! What the operating system says of processes, asked without any of the code under test.

mod family;
mod handle;

pub use family::{Relative, children, descendants, look};
pub use handle::ProcessHandle;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a process may take to go before the test fails. A hang limit and no expectation.
const PATIENCE: Duration = Duration::from_secs(20);

/// A variable that a test gives its workers, and that their children inherit, to find all of them by.
#[derive(Clone, Debug)]
pub struct Mark(String);

static MARKS: AtomicU32 = AtomicU32::new(0);

impl Mark {
    /// The variable's name.
    pub const VARIABLE: &'static str = "SNAKEPIT_TEST_MARK";

    /// A mark that no other test has.
    pub fn new() -> Self {
        Self(format!("{}-{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed)))
    }

    /// The variable's value.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Every running process that has the mark.
    ///
    /// # Panics
    /// Where `/proc` cannot be read.
    pub fn processes(&self) -> Vec<i32> {
        let entries = std::fs::read_dir("/proc").expect("/proc can be read");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| self.is_on(*pid)).collect()
    }

    /// Whether a process runs and has the mark.
    pub fn is_on(&self, pid: i32) -> bool {
        let wanted = format!("{}={}", Self::VARIABLE, self.0);
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|pair| pair == wanted.as_bytes())
    }

    /// Waits until no process has the mark.
    ///
    /// # Panics
    /// Where some still have it after a generous while.
    pub async fn assert_nothing_left(&self) {
        eventually("no process of the test is left", || self.processes().is_empty()).await;
    }
}

impl Default for Mark {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a process runs; one that has ended and is not reaped does not.
pub fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// Sends a signal to a process that the test started, or whose host it started.
///
/// # Panics
/// Where the process is gone.
pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that the test itself, or its own host, has started"
    )]
    let sent = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    sent.unwrap_or_else(|error| panic!("signal to {pid}: {error}"));
}

/// Waits until something holds.
///
/// # Panics
/// Where it does not hold after a generous while; says what was waited for.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Asks again and again, without a runtime, whether something holds; gives up when the patience ends.
pub fn holds_within(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    true
}
