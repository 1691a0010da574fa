//! The keeper: the parent of a host that is to be killed, and the proof that nothing of it is left.
//!
//! `keeper PARENT [--tty PATH] [--cgroup FOLDER] -- PROGRAM ARGS..` makes itself the subreaper of all that the program ever
//! starts, and reaps until the system says that there is no child left. Whatever is forked below it, in whatever
//! session and with whatever environment, is its child sooner or later, so that its own end is the proof, without a
//! window and without any privilege (`PR_SET_CHILD_SUBREAPER` in `prctl(2)`, `ECHILD` in `wait(2)`).
//!
//! It prints `kept PID` once the program runs, `ended CODE` or `ended SIGNAME` when the program has ended, and at last
//! `orphans N`: so many it had to reap beside. At SIGTERM, or when its own parent dies, it kills all that is below it.

mod cgroup;
mod kept;
mod order;

use std::io;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid, setsid, tcsetpgrp};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;

pub use cgroup::{Cgroup, Limit};
pub use kept::{HANG, Keeping, Kept};

use crate::keeper::order::Order;
use crate::oracle::{children, descendants};

/// The word of the line that names the program's process id.
pub(crate) const KEPT: &str = "kept";
/// The word of the line that says how the program ended.
pub(crate) const ENDED: &str = "ended";

/// The word of the line that says how many have lost their parent.
pub(crate) const ORPHANS: &str = "orphans";

/// Keeps as the arguments say.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let kept = Order::parse(args).and_then(|order| keep(&order).map_err(|error| error.to_string()));
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(order: &Order) -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    heed_signals()?;
    let program = start(order)?;
    // Not before the start: a blocked signal is inherited.
    SigSet::all().thread_block()?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    println!("{KEPT} {program}");
    let mut is_ending = getppid().as_raw() != order.parent;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    let mut orphans = 0;
    loop {
        if is_ending {
            kill_all();
        }
        if !reap(program, &mut orphans)? {
            println!("{ORPHANS} {orphans}");
            return Ok(());
        }
        // One that is ending does not wait: what it kills may have forked meanwhile.
        if !is_ending {
            match signals.wait()? {
                Signal::SIGTERM => is_ending = true,
                // The system tells only the leader of the session that the terminal is gone; a shell passes it on.
                Signal::SIGHUP => signal(program, Signal::SIGHUP),
                _ => {}
            }
        }
    }
}

/// Gives the signals of a terminal their default meaning again: whoever runs the tests may ignore them (`nohup(1)`), and the
/// host would inherit that.
fn heed_signals() -> io::Result<()> {
    for heeded in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        #[expect(unsafe_code, reason = "sets a default, which runs none of our code")]
        // SAFETY: no handler is installed.
        unsafe {
            nix::sys::signal::signal(heeded, nix::sys::signal::SigHandler::SigDfl)?;
        }
    }
    Ok(())
}

fn start(order: &Order) -> io::Result<Pid> {
    let mut command = Command::new(&order.program);
    command.args(&order.args);
    let mut terminal = None;
    if let Some(tty) = &order.tty {
        // A session leader without a terminal takes the first that it opens (`tty(4)`).
        setsid()?;
        let tty = OpenOptions::new().read(true).write(true).open(tty)?;
        command.stdin(tty.try_clone()?).process_group(0);
        terminal = Some(tty);
    }
    if let Some(cgroup) = &order.cgroup {
        Cgroup::enter(cgroup)?;
    }
    #[expect(clippy::disallowed_methods, reason = "the host to be killed; all below it is reaped here")]
    let child = command.spawn()?;
    let program = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    if let Some(cgroup) = &order.cgroup {
        Cgroup::leave(cgroup)?;
    }
    if let Some(tty) = terminal {
        // The keeper still has the foreground, and hands it over as a shell does.
        tcsetpgrp(&tty, program)?;
        // Where the program read before it had the foreground, the system has stopped it.
        signal(program, Signal::SIGCONT);
        fcntl(&tty, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // Held for as long as the keeper runs: with the last descriptor of a session leader the terminal goes.
        std::mem::forget(tty);
    }
    Ok(program)
}

/// Signals the program, if it is still the keeper's child and not reaped.
fn signal(program: Pid, signal: Signal) {
    #[expect(clippy::disallowed_methods, reason = "the keeper's own child, compared before")]
    if children(getpid().as_raw()).iter().any(|child| child.pid == program.as_raw()) {
        // One that ends at this very moment is not reaped before the next turn, and needs no telling.
        let _ = nix::sys::signal::kill(program, signal);
    }
}

/// Reaps what has ended; whether there is any child left.
fn reap(program: Pid, orphans: &mut usize) -> io::Result<bool> {
    loop {
        let (pid, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code.to_string()),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, signal.to_string()),
            Ok(WaitStatus::StillAlive) => return Ok(true),
            Ok(_) => continue,
            Err(Errno::ECHILD) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if pid == program {
            println!("{ENDED} {how}");
        } else {
            *orphans += 1;
        }
    }
}

fn kill_all() {
    for process in descendants(getpid().as_raw()) {
        #[expect(clippy::disallowed_methods, reason = "below the keeper, which has not reaped it")]
        // One that has gone meanwhile need not be killed; its number is not given again before it is reaped.
        let _ = nix::sys::signal::kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}
