//! A host under test, and the proof at its end that nothing of it is left.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::{Cgroup, HANG, Keeping, Kept};
use snakepit_tests::oracle::{self, ProcessHandle, Relative};
use tempfile::TempDir;

/// The program that plays all roles.
pub(crate) const ROLES: &str = env!("CARGO_BIN_EXE_chaos");
/// How long what is left may take to go. A hang limit: `chaos` prints the figures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A host, and the directory that it keeps its registry in.
pub(crate) struct TestHost {
    kept: Kept,
    pub(crate) directory: Arc<TempDir>,
}

impl TestHost {
    /// Starts a host with worst workers: its own flags, and those of its workers.
    pub(crate) fn start(flags: &[&str], misdeeds: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), flags, misdeeds)
    }

    /// The same in the directory of an earlier host.
    pub(crate) fn start_in(directory: Arc<TempDir>, flags: &[&str], misdeeds: &[&str]) -> Self {
        let args = args(directory.path(), flags, misdeeds);
        let kept = keeping().run(Path::new(ROLES), args).unwrap();
        Self { kept, directory }
    }

    /// Starts a host that holds a pit, and waits until all its workers are ready. Says their process ids.
    pub(crate) fn holding(flags: &[&str], misdeeds: &[&str]) -> (Self, Vec<i32>) {
        let mut host = Self::start(flags, misdeeds);
        let pids = host.pids_line();
        (host, pids)
    }

    /// The next line, which is one of process ids.
    pub(crate) fn pids_line(&mut self) -> Vec<i32> {
        let line = self.kept.line(HANG).expect("the host is ready");
        numbers(&line)
    }

    /// The process ids of all workers, once all are ready.
    pub(crate) fn pids(&mut self) -> Vec<i32> {
        numbers(&self.ask("pids"))
    }

    /// The first line from here on that begins with a word, without the word.
    #[track_caller]
    pub(crate) fn answer(&mut self, word: &str) -> String {
        self.kept.answer(word).unwrap()
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, question: &str) -> String {
        self.kept.ask(question).unwrap()
    }

    /// Asserts that nothing is left, and gives the directory back for the next host.
    #[track_caller]
    pub(crate) fn assert_nothing_left(mut self) -> Arc<TempDir> {
        if let Err(left) = self.kept.until_empty(PATIENCE) {
            panic!("left: {}", listed(&left));
        }
        self.directory
    }

    /// Kills the host, and asserts that nothing is left.
    #[track_caller]
    pub(crate) fn kill(self) -> Arc<TempDir> {
        self.kept.host().signal(Signal::SIGKILL);
        self.assert_nothing_left()
    }

    /// Asserts that the host has nothing any more, and lives.
    #[track_caller]
    pub(crate) fn assert_alone(&self) {
        let mut others = Vec::new();
        let is_alone = oracle::holds_within(PATIENCE, || {
            others = self.kept.others();
            others.is_empty()
        });
        assert!(is_alone, "beside the host: {}", listed(&others));
        assert!(self.kept.host().runs(), "the host was to live");
    }
}

impl Deref for TestHost {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.kept
    }
}

impl DerefMut for TestHost {
    fn deref_mut(&mut self) -> &mut Kept {
        &mut self.kept
    }
}

/// Under the keeper, with a second opinion where there is one.
pub(crate) fn keeping() -> Keeping {
    Keeping::by(ROLES).cgroup(Cgroup::make().ok()).env("RUST_BACKTRACE", "0")
}

/// The arguments of the roles' program that make it a host with worst workers.
pub(crate) fn args(data_dir: &Path, flags: &[&str], misdeeds: &[&str]) -> Vec<String> {
    let data_dir = data_dir.to_str().unwrap();
    let worker = [data_dir, "no_orphans", ROLES, "worst-worker"];
    // A host that held its workers less firmly would be another test.
    let words = ["host", "--level", "tree"].iter().chain(flags).chain(&worker).chain(misdeeds);
    words.map(|&word| word.to_owned()).collect()
}

/// Signals to processes of a host's own.
pub(crate) fn signal_all(processes: &[ProcessHandle], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

pub(crate) fn numbers(line: &str) -> Vec<i32> {
    line.split_ascii_whitespace().map(|word| word.parse().unwrap_or_else(|_| panic!("{line:?}"))).collect()
}

pub(crate) fn listed(processes: &[Relative]) -> String {
    processes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// A field of `/proc/PID/status`.
pub(crate) fn status(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {field}")).trim().to_owned()
}
