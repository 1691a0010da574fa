//! What a run comes to.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use snakepit_tests::oracle::Relative;

/// The count of a run.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) rounds: u32,
    pub(crate) survivors: usize,
    pub(crate) strangers_signalled: usize,
    /// Processes that had lost their parent when they ended: without any, nothing was proved.
    pub(crate) orphans: usize,
    /// Whatever else went wrong, in words.
    pub(crate) complaints: usize,
    /// How long it took until nothing was left, for each round.
    to_empty: Vec<Duration>,
}

impl Sum {
    pub(crate) fn emptied(&mut self, took: Duration) {
        self.to_empty.push(took);
    }

    /// A round that left something: says what.
    pub(crate) fn survived(&mut self, round: u32, what: &str, left: &[Relative]) {
        println!("round {round}, {what}: {} survived", left.len());
        for process in left {
            println!("  {process}, {}", mark(process.pid));
        }
        self.survivors += left.len();
    }

    /// A round that went wrong in another way.
    pub(crate) fn complain(&mut self, round: u32, what: &str) {
        println!("round {round}: {what}");
        self.complaints += 1;
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.survivors == 0 && self.strangers_signalled == 0 && self.complaints == 0
    }

    /// The time that so many of a hundred rounds stayed below.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.to_empty.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [50, 99, 100].map(|percent| self.percentile(percent).as_secs_f64() * 1e3);
        writeln!(f, "time to empty: p50 {half:.1} ms, p99 {most:.1} ms, max {all:.1} ms")?;
        writeln!(f, "orphans reaped {}", self.orphans)?;
        if self.complaints > 0 {
            writeln!(f, "complaints {}", self.complaints)?;
        }
        write!(
            f,
            "rounds {}, survivors {}, strangers signalled {}, worst {all:.0} ms",
            self.rounds, self.survivors, self.strangers_signalled
        )
    }
}

/// Which mark a process carries, so that it can be told which start of a worker it belongs to.
fn mark(pid: i32) -> String {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut pairs = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let found = pairs.find(|pair| pair.starts_with("SNAKEPIT_MARK="));
    found.map_or_else(|| "without a mark".to_owned(), Cow::into_owned)
}
