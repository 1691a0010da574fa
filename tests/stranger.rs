//! Strangers: processes beside a pit that look like its own and are not, and notice every signal.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use crate::keeper::HANG;
use crate::oracle;

/// The line of a stranger that is about to listen.
const LISTENS: &str = "listens";

/// Says a line for every signal that arrives, until it is killed or the test's thread ends.
pub fn main() -> ExitCode {
    match listen() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("stranger: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen() -> io::Result<std::convert::Infallible> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let all = SigSet::all();
    all.thread_block()?;
    println!("{LISTENS}");
    loop {
        println!("{}", all.wait()?);
    }
}

/// Some strangers, killed when dropped.
#[derive(Debug)]
pub struct Strangers(Vec<Child>);

impl Strangers {
    /// Starts one named like a shim, one named like a worker with a mark that is no mark, and one with the mark of a
    /// registry that is somebody else's and an empty environment beside.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(roles: &Path) -> io::Result<Self> {
        let mut strangers = Self(Vec::new());
        for (name, mark) in [
            ("snakepit-shim", None),
            ("worst-worker", Some("not.a.real.mark")),
            ("sleep", Some("0123456789abcdef.0190a7b2c3d47e5f8a9b0c1d2e3f4a5b.1-1.default.0.1")),
        ] {
            let mut command = Command::new(roles);
            command.arg0(name).arg("stranger").env_clear().process_group(0);
            if let Some(mark) = mark {
                command.env("SNAKEPIT_MARK", mark);
            }
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            #[expect(
                clippy::disallowed_methods,
                reason = "a stranger of the test's own, killed when dropped"
            )]
            let mut child = command.spawn()?;
            let mut line = String::new();
            if let Some(output) = &mut child.stdout {
                // Byte by byte, so that nothing is read ahead of the count at the end.
                BufReader::with_capacity(1, output).read_line(&mut line)?;
            }
            strangers.0.push(child);
            if line.trim() != LISTENS {
                return Err(io::Error::other(format!("the stranger {name} said {line:?}")));
            }
        }
        Ok(strangers)
    }

    /// Their process ids.
    pub fn pids(&self) -> Vec<i32> {
        self.0.iter().filter_map(|child| i32::try_from(child.id()).ok()).collect()
    }

    /// Ends them, and says how many signals had reached them before: those heard, and those that killed or stopped.
    ///
    /// # Errors
    /// What the system says.
    pub fn signals(mut self) -> io::Result<usize> {
        let mut count = 0;
        for child in &mut self.0 {
            let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
            let is_stopped = oracle::look(pid).is_some_and(|stranger| stranger.state == 'T');
            let has_ended = child.try_wait()?.is_some();
            if !is_stopped && !has_ended && !oracle::holds_within(HANG, || has_told_all(pid)) {
                return Err(io::Error::other(format!("stranger {pid} does not tell what it heard")));
            }
            count += usize::from(has_ended || is_stopped);
            child.kill()?;
            child.wait()?;
            if let Some(output) = child.stdout.take() {
                count += BufReader::new(output).lines().count();
            }
        }
        self.0.clear();
        Ok(count)
    }
}

/// Whether a stranger waits for a signal and none waits for it.
fn has_told_all(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter(|line| line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"));
    let nothing_pending =
        pending.clone().count() == 2 && pending.clone().all(|line| line.ends_with("\t0000000000000000"));
    nothing_pending && oracle::look(pid).is_some_and(|stranger| stranger.state == 'S')
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
