//! A host under its keeper, as the driver of a test holds it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::keeper::{Cgroup, ENDED, KEPT, ORPHANS};
use crate::oracle::{ProcessHandle, Relative, children, descendants};

/// How long anything may take before it is called a hang.
pub const HANG: Duration = Duration::from_secs(30);

/// How a host is to be kept.
#[derive(Debug)]
pub struct Keeping {
    roles: PathBuf,
    tty: Option<PathBuf>,
    cgroup: Option<Cgroup>,
    env: Vec<(OsString, OsString)>,
    is_quiet: bool,
}

/// A host under its keeper. Dropping it kills all that is left of it.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
    host: ProcessHandle,
    input: Option<ChildStdin>,
    said: Receiver<(Instant, String)>,
    /// What the host said before the keeper had named it.
    early: VecDeque<(Instant, String)>,
    cgroup: Option<Cgroup>,
    ended: Option<String>,
    orphans: usize,
}

impl Keeping {
    /// Kept by the program that plays all roles.
    pub fn by(roles: impl Into<PathBuf>) -> Self {
        Self { roles: roles.into(), tty: None, cgroup: None, env: Vec::new(), is_quiet: false }
    }

    /// Gives the host a terminal, with the host in the foreground.
    pub fn tty(mut self, path: impl Into<PathBuf>) -> Self {
        self.tty = Some(path.into());
        self
    }

    /// Starts the host in a control group.
    pub fn cgroup(mut self, cgroup: Option<Cgroup>) -> Self {
        self.cgroup = cgroup;
        self
    }

    /// Sets a variable of the host's environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Lets nobody see what the host says on stderr.
    pub fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Starts a program and waits until it runs.
    ///
    /// # Errors
    /// What the system says, or that the keeper has ended.
    pub fn run<A: AsRef<OsStr>>(self, program: &Path, args: impl IntoIterator<Item = A>) -> io::Result<Kept> {
        let mut command = Command::new(&self.roles);
        command.arg("keeper").arg(std::process::id().to_string());
        if let Some(tty) = &self.tty {
            command.arg("--tty").arg(tty);
        }
        if let Some(cgroup) = &self.cgroup {
            command.arg("--cgroup").arg(cgroup.folder());
        }
        command.arg("--").arg(program).args(args).envs(self.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if self.is_quiet {
            command.stderr(Stdio::null());
        }
        #[expect(clippy::disallowed_methods, reason = "the keeper, ended and reaped when dropped")]
        let mut keeper = command.spawn()?;
        let (says, said) = channel();
        let input = keeper.stdin.take();
        if let Some(output) = keeper.stdout.take() {
            // It ends with the last process that has the pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // A driver that listens no more has dropped the host.
                    let _ = says.send((Instant::now(), line));
                }
            });
        }
        let mut early = VecDeque::new();
        match await_host(&said, &mut early) {
            Ok(host) => {
                let cgroup = self.cgroup;
                Ok(Kept { keeper, host, input, said, early, cgroup, ended: None, orphans: 0 })
            }
            Err(error) => {
                end(&mut keeper);
                Err(error)
            }
        }
    }
}

/// Waits for the keeper's word; the host may have said something before it.
fn await_host(
    said: &Receiver<(Instant, String)>,
    early: &mut VecDeque<(Instant, String)>,
) -> io::Result<ProcessHandle> {
    loop {
        let (at, line) = said.recv_timeout(HANG).map_err(io::Error::other)?;
        match line.split_once(' ') {
            Some((KEPT, pid)) => return ProcessHandle::open(pid.parse().map_err(io::Error::other)?),
            _ => early.push_back((at, line)),
        }
    }
}

impl Kept {
    /// The host itself.
    pub fn host(&self) -> &ProcessHandle {
        &self.host
    }

    /// Says a line to the host. One that has ended hears nothing.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    /// The next line of the host, within a while; `None` when it says no more.
    pub fn line(&mut self, patience: Duration) -> Option<String> {
        if let Some((_, line)) = self.early.pop_front() {
            return Some(line);
        }
        let by = Instant::now() + patience;
        loop {
            let (_, line) = self.said.recv_timeout(by.saturating_duration_since(Instant::now())).ok()?;
            if !self.heard(&line) {
                return Some(line);
            }
        }
    }

    /// The first line from here on that begins with a word, without the word.
    ///
    /// # Errors
    /// What the host said instead, and how it ended.
    pub fn answer(&mut self, word: &str) -> Result<String, String> {
        let mut others = Vec::new();
        let by = Instant::now() + HANG;
        while let Some(line) = self.line(by.saturating_duration_since(Instant::now())) {
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
            others.push(line);
        }
        let ended = self.ended().unwrap_or("it runs");
        Err(format!("the host did not say {word:?} but {others:?}; its end: {ended}"))
    }

    /// Asks, and waits for the answer: a line that begins with the question's first word.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn ask(&mut self, question: &str) -> Result<String, String> {
        self.say(question);
        self.answer(question.split(' ').next().unwrap_or(question))
    }

    /// Waits until the host has ended, whatever is left of it, and says how.
    pub fn until_ended(&mut self, patience: Duration) -> Option<&str> {
        let by = Instant::now() + patience;
        while self.ended.is_none() {
            let (_, line) = self.said.recv_timeout(by.saturating_duration_since(Instant::now())).ok()?;
            self.heard(&line);
        }
        self.ended()
    }

    /// How the host ended: a code, or the name of a signal.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// How many have lost their parent, known once nothing is left.
    pub fn orphans(&self) -> usize {
        self.orphans
    }

    /// Takes note of a line that is the keeper's own.
    fn heard(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some((ENDED, how)) => self.ended = Some(how.to_owned()),
            Some((ORPHANS, count)) => self.orphans = count.parse().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// All that runs below the keeper, the host included.
    pub fn family(&self) -> Vec<Relative> {
        descendants(number(&self.keeper))
    }

    /// All that descends from the host or has lost its parent, the host not included.
    pub fn others(&self) -> Vec<Relative> {
        self.family().into_iter().filter(|process| process.pid != self.host.pid()).collect()
    }

    /// The host's own children: the shims, or the workers where there are none.
    pub fn shims(&self) -> Vec<ProcessHandle> {
        let pids = children(self.host.pid()).into_iter().map(|child| child.pid);
        pids.filter_map(|pid| ProcessHandle::open(pid).ok()).collect()
    }

    /// Waits until nothing is left, the host included, and says when that was.
    ///
    /// # Errors
    /// What is left when the patience ends.
    ///
    /// # Panics
    /// Where the keeper failed, or the control group has something left that the keeper has not.
    pub fn until_empty(&mut self, patience: Duration) -> Result<Instant, Vec<Relative>> {
        let by = Instant::now() + patience;
        loop {
            match self.said.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok((_, line)) => {
                    self.heard(&line);
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.family()),
                // The keeper ends when nothing is left, and its pipe with it.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let empty = Instant::now();
        match self.keeper.wait() {
            Ok(status) if status.success() => {}
            other => panic!("the keeper failed, so that nothing is known: {other:?}"),
        }
        self.agree();
        Ok(empty)
    }

    /// The second opinion, where there is one.
    fn agree(&self) {
        let Some(cgroup) = &self.cgroup else { return };
        let processes = cgroup.processes().unwrap_or_default();
        assert!(processes.is_empty(), "the keeper has no child left, and the cgroup has {processes:?}");
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        end(&mut self.keeper);
    }
}

/// Tells a keeper to end all that is below it, and waits until it has. One that is killed would leave all that.
fn end(keeper: &mut Child) {
    if matches!(keeper.try_wait(), Ok(None)) {
        if let Ok(keeper) = ProcessHandle::open(number(keeper)) {
            keeper.signal(Signal::SIGTERM);
        }
        let _ = keeper.wait();
    }
}

fn number(keeper: &Child) -> i32 {
    // A process id fits.
    i32::try_from(keeper.id()).unwrap_or(i32::MAX)
}
