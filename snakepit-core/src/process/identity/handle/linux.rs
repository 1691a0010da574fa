//! Linux: a handle is a pidfd (`pidfd_open(2)`), which stands for its process also when that is gone.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// What `fstatfs(2)` says of a handle whose inode is the process's own (`PID_FS_MAGIC`, Linux 6.9).
const PID_FS_MAGIC: u32 = 0x5049_4446;
/// The form of a file handle that is nothing but such an inode (`FILEID_KERNFS`, `fs/pidfs.c`).
const FILEID_KERNFS: i32 = 0xfe;
/// The signal goes to the group that the process leads or has led (`pidfd_send_signal(2)`, Linux 6.9).
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

/// A process, by a descriptor of its own.
pub(crate) type Handle = OwnedFd;

/// Which processes a signal through a handle reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Process,
    Group,
}

/// The handle of the process that has this number now.
pub(crate) fn of_number(pid: i32) -> io::Result<Handle> {
    let pid = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| say_gone(error.into()))
}

/// The handle of the process that has this inode, while any process has its number as its own or as its group's:
/// an inode is not given out twice in a boot. `None` when that has ended.
///
/// # Errors
/// Where the kernel has no such way (Linux before 6.14), too.
pub(in crate::process) fn of_inode(inode: u64) -> io::Result<Option<Handle>> {
    #[repr(C)]
    struct FileHandle {
        bytes: u32,
        form: i32,
        inode: u64,
    }
    // Any handle stands for the file system that all of them live in.
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut wanted = FileHandle { bytes: 8, form: FILEID_KERNFS, inode };
    #[expect(unsafe_code, reason = "no wrapper has this call for a handle that was not read from the system")]
    // SAFETY: `wanted` is laid out as the call expects and says how long it is; the descriptor returned is new.
    unsafe {
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        let opened = libc::open_by_handle_at(own.as_raw_fd(), (&raw mut wanted).cast(), flags);
        if opened >= 0 {
            return Ok(Some(OwnedFd::from_raw_fd(opened)));
        }
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESTALE) { Ok(None) } else { Err(error) }
}

/// The number of the process; `None` once it is reaped, and where it is not to be seen from this process namespace.
pub(in crate::process) fn number(handle: &Handle) -> io::Result<Option<i32>> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    Ok(number.filter(|pid| *pid > 0))
}

/// The inode that the process alone has, where the kernel gives out such.
pub(in crate::process) fn inode(handle: &Handle) -> io::Result<Option<u64>> {
    // C libraries differ in the type of this number.
    let is_pidfs = i128::from(fstatfs(handle)?.filesystem_type().0) == i128::from(PID_FS_MAGIC);
    Ok(if is_pidfs { Some(fstat(handle)?.st_ino) } else { None })
}

/// Whether the process is still in the system's table, running or waiting to be reaped: its number is its own.
pub(crate) fn is_listed(handle: &Handle) -> bool {
    // One that we may not signal is there all the same.
    reached(send(handle, 0, Reach::Process)).unwrap_or(true)
}

/// Kills the process. `Ok(false)`: it was gone.
pub(crate) fn kill(handle: &Handle) -> io::Result<bool> {
    reached(send(handle, libc::SIGKILL, Reach::Process))
}

/// Lets a process that was stopped go on. One that is gone needs nothing.
pub(crate) fn go_on(handle: &Handle) {
    let _ = send(handle, libc::SIGCONT, Reach::Process);
}

/// Kills the group that the process leads, or has led when it is gone itself. `Ok(false)`: there was nobody in it.
pub(crate) fn kill_group(handle: &Handle, pid: i32) -> io::Result<bool> {
    match send(handle, libc::SIGKILL, Reach::Group) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => kill_group_by_number(handle, pid),
        result => reached(result),
    }
}

/// The same before Linux 6.9. A leader that is stopped cannot leave by itself, so that the number stays its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the number is held by a leader that was stopped by its handle"
)]
fn kill_group_by_number(handle: &Handle, pid: i32) -> io::Result<bool> {
    if !reached(send(handle, libc::SIGSTOP, Reach::Process))? || has_ended(handle) {
        return Ok(false);
    }
    match killpg(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) => Ok(true),
        // It leads no group.
        Err(nix::errno::Errno::ESRCH) => kill(handle),
        Err(error) => Err(error.into()),
    }
}

/// Whether the process has ended, reaped or not.
pub(crate) fn has_ended(handle: &Handle) -> bool {
    still_running(vec![handle.as_fd()], Instant::now()).is_empty()
}

/// Resolves when the process, a child of ours that is not reaped, has ended; `false`: the runtime ends before. Called
/// within a runtime.
pub(in crate::process) fn ended(handle: &Handle) -> io::Result<impl Future<Output = bool> + Send + use<>> {
    let handle = readable(handle.try_clone()?)?;
    // Readable means ended (`pidfd_open(2)`).
    Ok(async move { handle.readable().await.is_ok() })
}

/// Watches a descriptor for something to read. Called within a runtime.
pub(in crate::process) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "the only constructor that tokio has left for a descriptor")]
    // SAFETY: the descriptor is owned by the `AsyncFd` and never taken out of it.
    unsafe {
        Ok(AsyncFd::register_with_interest(fd, Interest::READABLE)?)
    }
}

/// Blocks until all the processes have ended or the time has come.
pub(crate) fn wait_for_ends<'a>(handles: impl IntoIterator<Item = &'a Handle>, until: Instant) {
    still_running(handles.into_iter().map(AsFd::as_fd).collect(), until);
}

/// Waits as [`wait_for_ends`] does, and returns those that have not ended.
fn still_running(mut running: Vec<BorrowedFd<'_>>, until: Instant) -> Vec<BorrowedFd<'_>> {
    while !running.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let mut ends: Vec<_> =
            running.iter().map(|handle| PollFd::from_borrowed_fd(*handle, PollFlags::IN)).collect();
        match poll(&mut ends, Some(&timespec(left))) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        }
        let ended: Vec<bool> = ends.iter().map(|end| !end.revents().is_empty()).collect();
        let mut ended = ended.into_iter();
        running.retain(|_| !ended.next().unwrap_or(false));
    }
    running
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}

fn reached(sent: io::Result<()>) -> io::Result<bool> {
    match sent {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The system has a word of its own for a process that is not there, which std has no kind for.
pub(in crate::process) fn say_gone(error: io::Error) -> io::Error {
    if is_gone(&error) { io::ErrorKind::NotFound.into() } else { error }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

fn send(handle: &Handle, signal: i32, reach: Reach) -> io::Result<()> {
    let flags = match reach {
        Reach::Process => 0,
        Reach::Group => PIDFD_SIGNAL_PROCESS_GROUP,
    };
    let no_info = std::ptr::null::<libc::siginfo_t>();
    #[expect(
        unsafe_code,
        reason = "the wrappers know neither the group flag nor the signal 0, which only asks"
    )]
    // SAFETY: the descriptor is open, and no information is passed along.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), signal, no_info, flags) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
