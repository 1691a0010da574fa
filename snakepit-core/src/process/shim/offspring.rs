//! The way from the shim to the worker's program: one fork, the worker's surroundings set in the child, one exec.
//!
//! The shim has one thread, so the child may do what it likes between the two. A step that fails is told through a pipe
//! that the exec closes.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::libc;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setpgid};

use crate::process::shim::packet::Step;
use crate::process::shim::plan::{Image, Plan};

/// Above what the worker is given, so that placing the wire tramples on nothing.
const OUT_OF_THE_WAY: RawFd = 10;
/// The most further groups that a plan may name (`NGROUPS_MAX` is 65536; nobody has that many). The host names no more.
pub(in crate::process) const GROUP_LIMIT: usize = 1024;

/// What failed, and what the system said.
pub(super) type Failure = (Step, i32);

/// A child on its way to its program.
#[derive(Debug)]
pub(super) struct Offspring {
    pub(super) pid: Pid,
    /// The end of this file without a word means that the program runs.
    pub(super) failure: OwnedFd,
}

/// The worker's ends of its wire, where it has one: what it reads from, and what it writes to.
pub(super) type WorkerWire = Option<(OwnedFd, OwnedFd)>;

/// Forks; the child never returns.
pub(super) fn fork(plan: &mut Plan<'_>, wire: WorkerWire) -> Result<Offspring, Failure> {
    let image = plan.image().ok_or((Step::Plan, Errno::INVAL.raw_os_error()))?;
    let wire = match wire {
        Some((input, output)) => Some((clear_away(&input)?, clear_away(&output)?)),
        None => None,
    };
    let (failure, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(at(Step::Fork))?;
    let tell = clear_away(&tell)?;
    let shim = getpid();
    #[expect(unsafe_code, reason = "the one fork; the process has one thread")]
    // SAFETY: with one thread, the child is a whole copy and may call anything.
    let child = unsafe { libc::fork() };
    match Pid::from_raw(child) {
        _ if child < 0 => Err((Step::Fork, errno())),
        None => {
            let (step, errno) = become_worker(plan, image, wire.as_ref(), shim);
            let mut word = [0; 8];
            word[..4].copy_from_slice(&step.number().to_ne_bytes());
            word[4..].copy_from_slice(&errno.to_ne_bytes());
            let _ = rustix::io::write(&tell, &word);
            exit(127)
        }
        Some(pid) => {
            // Both sides set the group, so that it is there whoever runs first.
            let _ = setpgid(Some(pid), Some(pid));
            Ok(Offspring { pid, failure })
        }
    }
}

/// What a child said before it ended; `None`: nothing, so its program runs.
pub(super) fn read_failure(from: &OwnedFd) -> Option<Failure> {
    let mut word = [0; 8];
    let Ok(8) = rustix::io::read(from, &mut word) else { return None };
    let (step, errno) = word.split_at(4);
    let step = Step::from_number(u32::from_ne_bytes(step.try_into().ok()?)).unwrap_or(Step::Exec);
    Some((step, i32::from_ne_bytes(errno.try_into().ok()?)))
}

/// Sets everything, then runs the program. Returns only what failed.
///
/// What needs the host's rights comes before they are given up; what giving them up would undo comes after.
fn become_worker(plan: &Plan<'_>, image: Image, wire: Option<&(OwnedFd, OwnedFd)>, shim: Pid) -> Failure {
    let prepared = (|| {
        setpgid(None, None).map_err(at(Step::Group))?;
        reset_dispositions();
        place(wire, plan.wire_places()).map_err(at(Step::Wire))?;
        raise_oom_score(plan).map_err(at(Step::OomScore))?;
        // After whatever opens a file, which a limit may forbid.
        set_limits(plan)?;
        if let Some(nice) = plan.nice() {
            rustix::process::setpriority_process(None, nice).map_err(at(Step::Nice))?;
        }
        become_user(plan)?;
        if let Some(directory) = plan.directory() {
            check(Step::Directory, change_directory(directory))?;
        }
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(at(Step::Lifeline))?;
        // A shim that died before the line above will send nothing any more.
        if getppid() == Some(shim) { Ok(()) } else { Err((Step::Lifeline, Errno::CHILD.raw_os_error())) }
    })();
    match prepared {
        Ok(()) => {
            unblock_signals();
            run(image);
            (Step::Exec, errno())
        }
        Err(failure) => failure,
    }
}

fn at(step: Step) -> impl Fn(Errno) -> Failure {
    move |errno| (step, errno.raw_os_error())
}

fn check(step: Step, result: c_int) -> Result<(), Failure> {
    if result == 0 { Ok(()) } else { Err((step, errno())) }
}

/// Moves a descriptor above those that the worker will find.
fn clear_away(fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    rustix::io::fcntl_dupfd_cloexec(fd, OUT_OF_THE_WAY).map_err(at(Step::Wire))
}

/// Places the wire, which stays open over the exec; every other descriptor of the shim closes there, except for its
/// standard ones.
fn place(wire: Option<&(OwnedFd, OwnedFd)>, numbers: [RawFd; 2]) -> Result<(), Errno> {
    let Some((input, output)) = wire else { return Ok(()) };
    for (from, to) in [input, output].into_iter().zip(numbers) {
        #[expect(unsafe_code, reason = "the number may be free or taken, which no owned descriptor can say")]
        // SAFETY: the child owns all its descriptors, and nothing uses what lies in these places from here on.
        let placed = unsafe { libc::dup2(from.as_raw_fd(), to) };
        if placed != to {
            return Err(Errno::from_raw_os_error(errno()));
        }
    }
    Ok(())
}

fn set_limits(plan: &Plan<'_>) -> Result<(), Failure> {
    for (resource, soft, hard) in plan.limits() {
        let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
        #[expect(unsafe_code, reason = "the resource is a number here, checked by the system")]
        // SAFETY: reads one struct that lives through the call.
        let result = unsafe { libc::setrlimit64(resource as _, &raw const limit) };
        check(Step::Limit, result)?;
    }
    Ok(())
}

/// Makes the worker the likelier victim than its host where memory runs out. What is higher already stays.
fn raise_oom_score(plan: &Plan<'_>) -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags, open};
    let Some(wanted) = plan.oom_score() else { return Ok(()) };
    let file = open(c"/proc/self/oom_score_adj", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 16];
    let length = rustix::io::read(&file, &mut text)?;
    let now = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if now.is_some_and(|now| i64::from(now) >= i64::from(wanted)) {
        return Ok(());
    }
    let mut digits = *b"0000";
    let mut rest = wanted.min(1000);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    // The system reads a number that begins with a zero as an octal one.
    let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len() - 1);
    rustix::io::pwrite(&file, &digits[first..], 0).map(drop)
}

fn become_user(plan: &Plan<'_>) -> Result<(), Failure> {
    let Some((uid, gid)) = plan.user() else { return Ok(()) };
    let mut groups = [0; GROUP_LIMIT];
    let mut count = 0;
    for group in plan.groups() {
        // Never with fewer than were asked for.
        *groups.get_mut(count).ok_or((Step::User, Errno::INVAL.raw_os_error()))? = group;
        count += 1;
    }
    #[expect(unsafe_code, reason = "the whole process changes, which has one thread")]
    // SAFETY: the array lives through the call and holds at least `count` groups.
    unsafe {
        check(Step::User, libc::setgroups(count, groups.as_ptr()))?;
        check(Step::User, libc::setresgid(gid, gid, gid))?;
        check(Step::User, libc::setresuid(uid, uid, uid))
    }
}

fn change_directory(directory: *const c_char) -> c_int {
    #[expect(unsafe_code, reason = "the text lies in the plan as the system wants it")]
    // SAFETY: the plan has checked that the text lies inside it and ends there.
    unsafe {
        libc::chdir(directory)
    }
}

/// Gives every signal its default meaning: what the host ignores is no business of the shim's or the worker's.
pub(super) fn reset_dispositions() {
    for signal in 1..=64 {
        #[expect(unsafe_code, reason = "sets a default, which runs none of our code")]
        // SAFETY: no handler is installed. KILL, STOP and the library's own signals refuse, as they shall.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

fn unblock_signals() {
    #[expect(unsafe_code, reason = "sets the mask of the only thread")]
    // SAFETY: the set is made by the call before it is used.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn run(image: Image) {
    #[expect(unsafe_code, reason = "the one exec; its arguments lie in the plan as the system wants them")]
    // SAFETY: the plan has made tables of texts that lie inside it, each ended as it must be.
    unsafe {
        libc::execve(image.program, image.args, image.env);
    }
}

/// Ends this process at once: nothing of the program that the shim was started from runs.
pub(super) fn exit(code: c_int) -> ! {
    #[expect(unsafe_code, reason = "nothing of the host's program may run in a shim, not even at its end")]
    // SAFETY: ends the process.
    unsafe {
        libc::_exit(code)
    }
}

fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
