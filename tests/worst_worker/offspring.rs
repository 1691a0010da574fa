//! What the worst worker leaves behind: a grandchild, a daemon, a bomb.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{
    ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, execv, execve, fork, pipe, read, setsid, write,
};

use crate::worst_worker::LAST_NET;
use crate::worst_worker::flags::Flags;

const SLEEP: &[&CStr] = &[c"/bin/sleep", c"/usr/bin/sleep"];

pub(super) fn leave(flags: &Flags) -> io::Result<()> {
    if flags.has_grandchild && is_child()? {
        sleep(flags, true);
    }
    if flags.has_daemon {
        leave_daemon(flags)?;
    }
    if let Some(count) = flags.bomb
        && is_child()?
    {
        explode(count, flags.bomb_sessions);
    }
    Ok(())
}

/// Forks twice with a session in between, as a daemon does.
fn leave_daemon(flags: &Flags) -> io::Result<()> {
    if is_child()? {
        let _ = setsid();
        match is_child() {
            Ok(true) => sleep(flags, flags.keeps_env),
            _ => end(),
        }
    }
    Ok(())
}

/// Becomes a `sleep`, so that nothing of the worker's memory or environment is left in it.
fn sleep(flags: &Flags, keeps_env: bool) -> ! {
    if !flags.hands_stdout {
        let _ = let_go();
    }
    let Ok(seconds) = CString::new(LAST_NET.to_string()) else { end() };
    let args = [c"sleep", seconds.as_c_str()];
    for program in SLEEP {
        let _: Result<Infallible, _> =
            if keeps_env { execv(program, &args) } else { execve(program, &args, &[] as &[&CStr]) };
    }
    end()
}

/// Lets the worker's pipes go: they are its own, and nobody is to notice that somebody is left.
fn let_go() -> nix::Result<()> {
    let null = nix::fcntl::open(c"/dev/null", OFlag::O_RDWR, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    for fd in 3..16 {
        if fd != null.as_raw_fd() {
            let _ = nix::unistd::close(fd);
        }
    }
    Ok(())
}

/// A bomb whose processes share so many forks: each takes one from the pipe before it forks, and when there are none
/// left those that still live wait for the last net.
fn explode(count: u16, own_sessions: bool) -> ! {
    let Ok((tokens, purse)) = pipe() else { end() };
    for _ in 0..count {
        let _ = write(&purse, b".");
    }
    drop(purse);
    loop {
        if own_sessions {
            // The leader of a session cannot begin another, and needs none.
            let _ = setsid();
        }
        if !take(&tokens) {
            wait_for_the_net();
        }
        // Child and parent go on alike.
        if is_child().is_err() {
            wait_for_the_net();
        }
    }
}

fn take(tokens: &OwnedFd) -> bool {
    matches!(read(tokens, &mut [0]), Ok(1))
}

fn wait_for_the_net() -> ! {
    // A fork does not inherit the alarm.
    nix::unistd::alarm::set(LAST_NET);
    loop {
        nix::unistd::pause();
    }
}

fn is_child() -> io::Result<bool> {
    #[expect(unsafe_code, reason = "a descendant that the standard library knows nothing of")]
    // SAFETY: the worker has only this thread as yet, so that the child's memory is whole.
    let forked = unsafe { fork() }?;
    Ok(matches!(forked, ForkResult::Child))
}

#[expect(clippy::disallowed_methods, reason = "a process of the worst worker's own, which ends here")]
fn end() -> ! {
    std::process::exit(0)
}
