//! Killing a tree: everything below the shim, wherever it hides, until the system says that there is nobody left.
//!
//! The shim is the subreaper of its tree, so whoever loses its parent becomes the shim's child, and `waitpid(2)` saying
//! ECHILD is the proof that the tree is empty. To get there even against a tree that forks faster than it is killed,
//! everything is stopped first, pass by pass, until a pass finds nothing running; then everything is killed.

use std::ffi::CStr;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::sched_yield;

/// How many processes one pass remembers. A larger tree is found by the passes that follow.
const REMEMBERED: usize = 4096;
/// How many passes try to stop everything before it is killed running or not.
const FREEZE_PASSES: usize = 64;

/// The means of a walk, made before they are needed, because the shim allocates nothing once it has a worker.
pub(super) struct Walk {
    me: i32,
    /// The processes found in this pass, each with the parent it was found under; those behind `next` have been visited.
    found: Vec<(i32, i32)>,
    text: Box<[u8; 4096]>,
    names: Box<[MaybeUninit<u8>; 4096]>,
}

/// What a process does, as far as a walk cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It runs, or may run again at any moment.
    Runs,
    /// It is stopped.
    Stopped,
    /// It has ended.
    Ended,
}

/// Whether the system lists a process's children, which not every kernel does.
pub(super) fn children_are_listed(me: i32) -> bool {
    let mut buffer = [0; 64];
    open(path(&mut buffer, format_args!("/proc/{me}/task/{me}/children"))).is_some()
}

impl Walk {
    pub(super) fn new(me: i32) -> Self {
        Self {
            me,
            found: Vec::with_capacity(REMEMBERED),
            text: Box::new([0; 4096]),
            names: Box::new([MaybeUninit::uninit(); 4096]),
        }
    }

    /// Stops and then kills everything that can be found. Whoever is left is found by the next call.
    pub(super) fn kill_all(&mut self) {
        for _ in 0..FREEZE_PASSES {
            if self.pass(Signal::STOP) == 0 {
                break;
            }
            // What was just stopped has to run once more to come to a stop.
            sched_yield();
        }
        if !self.found.is_empty() {
            self.pass(Signal::KILL);
        }
    }

    /// Signals every descendant that has not ended, from the top down. Says how many of them were still running.
    fn pass(&mut self, signal: Signal) -> usize {
        self.found.clear();
        self.find_children(self.me);
        let (mut next, mut running) = (0, 0);
        while let Some(&(pid, parent)) = self.found.get(next) {
            next += 1;
            running += usize::from(self.visit(pid, parent, signal) == Some(Doing::Runs));
        }
        running
    }

    /// Signals a process and finds its children, if it still is the one that was found: its handle is opened first, then
    /// its parent compared, then the handle is signalled. A number that changed hands in between leads to a dead handle
    /// or another parent. Its children count only if it has not ended when they have been read, so that they are its own.
    fn visit(&mut self, pid: i32, parent: i32, signal: Signal) -> Option<Doing> {
        let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let (doing, its_parent) = self.look(pid)?;
        if doing == Doing::Ended || its_parent != parent && its_parent != self.me {
            return None;
        }
        // Stopped before its children are read, so that it makes no more; killed after, so that they are still there.
        if signal == Signal::STOP && doing == Doing::Runs {
            send(handle.as_fd(), signal);
        }
        let before = self.found.len();
        self.find_children(pid);
        if has_ended(handle.as_fd()) {
            self.found.truncate(before);
        }
        if signal == Signal::KILL {
            send(handle.as_fd(), signal);
        }
        Some(doing)
    }

    /// What a process does, and whose child it is.
    fn look(&mut self, pid: i32) -> Option<(Doing, i32)> {
        let mut buffer = [0; 64];
        let file = open(path(&mut buffer, format_args!("/proc/{pid}/stat")))?;
        let length = rustix::io::read(&file, &mut self.text[..]).ok()?;
        parse_stat(self.text.get(..length)?)
    }

    /// Adds the children of every thread of a process.
    fn find_children(&mut self, pid: i32) {
        let mut buffer = [0; 64];
        let Some(threads) = open(path(&mut buffer, format_args!("/proc/{pid}/task"))) else { return };
        let mut directory = RawDir::new(&threads, &mut self.names[..]);
        while let Some(Ok(thread)) = directory.next() {
            let mut buffer = [0; 64];
            let name = thread.file_name().to_bytes();
            let Some(thread) = number(name) else { continue };
            let Some(file) = open(path(&mut buffer, format_args!("/proc/{pid}/task/{thread}/children")))
            else {
                continue;
            };
            read_numbers(&file, &mut self.text[..], |child| {
                if self.found.len() < REMEMBERED {
                    self.found.push((child, pid));
                }
            });
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process of the shim's own tree, compared after its handle was opened"
)]
pub(super) fn send(handle: BorrowedFd<'_>, signal: Signal) {
    // Whoever has gone meanwhile needs no signal, and whoever may not be signalled is seen to be left.
    let _ = pidfd_send_signal(handle, signal);
}

/// A handle is readable once its process has ended (`pidfd_open(2)`).
fn has_ended(handle: BorrowedFd<'_>) -> bool {
    let mut files = [PollFd::from_borrowed_fd(handle, PollFlags::IN)];
    !matches!(poll(&mut files, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}

/// Reads numbers between blanks, however the reads cut them.
fn read_numbers(file: &OwnedFd, buffer: &mut [u8], mut each: impl FnMut(i32)) {
    let mut pending: Option<i32> = None;
    while let Ok(length @ 1..) = rustix::io::read(file, &mut *buffer) {
        for byte in buffer.iter().take(length) {
            match (byte, pending) {
                (b'0'..=b'9', before) => {
                    let digit = i32::from(byte - b'0');
                    pending = Some(before.unwrap_or(0).wrapping_mul(10).wrapping_add(digit));
                }
                (_, Some(complete)) => {
                    each(complete);
                    pending = None;
                }
                (_, None) => {}
            }
        }
    }
    if let Some(complete) = pending {
        each(complete);
    }
}

/// The state and the parent in `/proc/pid/stat`. The name before them may hold anything, so they count from the last `)`.
fn parse_stat(stat: &[u8]) -> Option<(Doing, i32)> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields =
        stat.get(end_of_name + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let doing = match fields.next()? {
        b"T" | b"t" => Doing::Stopped,
        b"Z" | b"X" => Doing::Ended,
        _ => Doing::Runs,
    };
    Some((doing, number(fields.next()?)?))
}

fn number(digits: &[u8]) -> Option<i32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Writes a path where it needs no allocation.
fn path<'a>(buffer: &'a mut [u8; 64], text: std::fmt::Arguments<'_>) -> &'a CStr {
    let mut rest = &mut buffer[..63];
    // Every path here is far shorter; one that is not would name nothing.
    let _ = rest.write_fmt(text);
    CStr::from_bytes_until_nul(buffer).unwrap_or_default()
}

fn open(path: &CStr) -> Option<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_and_the_parent_are_found_behind_any_name() {
        assert_eq!(parse_stat(b"7 (plain) S 12 7 7"), Some((Doing::Runs, 12)));
        assert_eq!(parse_stat(b"7 (a) T 1 (x) 2) Z 34 7"), Some((Doing::Ended, 34)));
        assert_eq!(parse_stat(b"7 (x) T 5 7"), Some((Doing::Stopped, 5)));
        assert_eq!(parse_stat(b"7 (cut"), None);
        assert_eq!(parse_stat(b"7 (x) R"), None);
    }

    #[test]
    fn numbers_are_whole_however_they_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("children");
        std::fs::write(&file, "12 345 6 7890").unwrap();
        for size in 1..20 {
            let file = OwnedFd::from(std::fs::File::open(&file).unwrap());
            let mut numbers = Vec::new();
            read_numbers(&file, &mut vec![0; size], |number| numbers.push(number));
            assert_eq!(numbers, [12, 345, 6, 7890], "read {size} bytes at a time");
        }
    }

    #[test]
    fn a_path_is_written_whole() {
        let mut buffer = [0; 64];
        assert_eq!(path(&mut buffer, format_args!("/proc/{}/task", 42)).to_str(), Ok("/proc/42/task"));
    }
}
