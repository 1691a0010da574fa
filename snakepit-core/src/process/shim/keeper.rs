//! The shim at work: parent and subreaper of one worker's tree, tied to its host by one socket.
//!
//! It waits on three things: the socket, signals, and the clock. The end of the socket means that the host is gone, or
//! has dropped the worker; either way the tree ends, and the shim with it. It keeps going until nothing of the tree is
//! left, because as long as it lives no process of the tree can get away.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal as Caught};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group, pidfd_open, wait, waitid,
};

use crate::process::TermTarget;
use crate::process::shim::looks::Looks;
use crate::process::shim::luggage::{Luggage, map, receive};
use crate::process::shim::offspring::{self, Offspring, WorkerWire, exit};
use crate::process::shim::packet::{News, Order, SIZE, Step, VERSION};
use crate::process::shim::plan::Plan;
use crate::process::shim::tree::{self, Walk};

/// A shim.
pub(super) struct Keeper {
    link: OwnedFd,
    signals: SignalFd,
    phase: Phase,
    walk: Walk,
    /// The socket has come to its end and has nothing more to say.
    host_is_gone: bool,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// Nothing has been started: the order to go has not come.
    Waiting,
    /// The worker is on its way to its program.
    Starting(Worker, OwnedFd),
    /// The worker runs.
    Running(Worker),
    /// The worker was asked to leave by this shim itself, and is killed then.
    Leaving(Worker, Duration),
    /// Whatever is left is being killed, the worker included until it is reaped.
    Ending(Option<Worker>, Looks),
}

/// The worker's own process, until it is reaped: only so long do its number and its group's belong to it for certain.
#[derive(Clone, Copy, Debug)]
struct Worker {
    pid: Pid,
    term: TermTarget,
    stop_grace: Duration,
    orphan_grace: Duration,
}

impl Keeper {
    /// Says hello. `signals` arrive as a file from here on, none of them in any other way.
    pub(super) fn new(link: OwnedFd) -> Option<Self> {
        let mut mask = SigSet::all();
        // These tell of a fault of the shim's own, and must be felt.
        for fault in [Caught::SIGSEGV, Caught::SIGBUS, Caught::SIGILL, Caught::SIGFPE, Caught::SIGABRT] {
            mask.remove(fault);
        }
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).ok()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok()?;
        let me = getpid().as_raw_nonzero().get();
        let keeper = Self { link, signals, phase: Phase::Waiting, walk: Walk::new(me), host_is_gone: false };
        keeper.tell(News::Hello { version: VERSION, sees_tree: tree::children_are_listed(me) });
        Some(keeper)
    }

    /// Works until nothing is left to do, and ends the process.
    pub(super) fn work(mut self) -> ! {
        loop {
            self.wait();
            self.read_signals();
            self.read_link();
            self.read_failure();
            // Asked of the clock and not of the wait, which something else may have ended just then, again and again.
            if self.due().is_some_and(|due| due <= now()) {
                self.time_is_up();
            }
            self.reap();
        }
    }

    /// When the clock has something to say, if ever.
    fn due(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Waiting | Phase::Starting(..) | Phase::Running(_) => None,
            Phase::Leaving(_, until) => Some(*until),
            Phase::Ending(_, looks) => Some(looks.due()),
        }
    }

    /// Waits for whatever comes first.
    fn wait(&self) {
        let limit = self.due().map(|due| due.saturating_sub(now()));
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        // A socket that has ended is readable for ever.
        let link = if self.listens() { PollFlags::IN } else { PollFlags::empty() };
        let mut files = [
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.as_fd(), link),
            PollFd::from_borrowed_fd(self.link.as_fd(), PollFlags::empty()),
        ];
        let files = match &self.phase {
            Phase::Starting(_, failure) => {
                files[2] = PollFd::from_borrowed_fd(failure.as_fd(), PollFlags::IN);
                &mut files[..]
            }
            _ if self.listens() => &mut files[..2],
            _ => &mut files[..1],
        };
        // Whatever ended it is looked for next.
        let _ = poll(files, limit.as_ref());
    }

    fn listens(&self) -> bool {
        !self.host_is_gone && !matches!(self.phase, Phase::Ending(..))
    }

    fn tell(&self, news: News) {
        // A host that does not listen any more is heard of as the end of the socket.
        let _ = send(&self.link, &news.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    fn read_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            // CHLD is what `reap` looks for anyway; CONT only wakes a shim that was stopped; the rest is not for it.
            if Caught::try_from(signal.ssi_signo.cast_signed()) == Ok(Caught::SIGTERM) {
                self.asked_to_leave();
            }
        }
    }

    /// Somebody sent TERM to the shim itself, as a service manager does to everything that it stops.
    fn asked_to_leave(&mut self) {
        match self.phase {
            Phase::Waiting => exit(0),
            Phase::Running(worker) => {
                worker.term(worker.term);
                self.phase = Phase::Leaving(worker, now() + worker.stop_grace);
            }
            Phase::Starting(worker, _) => self.kill(Some(worker)),
            Phase::Leaving(..) | Phase::Ending(..) => {}
        }
    }

    fn read_link(&mut self) {
        while self.listens() {
            let mut bytes = [0; SIZE];
            let mut luggage = Luggage::default();
            match receive(&self.link, &mut bytes, &mut luggage) {
                Ok(0) => return self.host_gone(),
                Ok(SIZE) => self.obey(Order::decode(bytes), luggage),
                Ok(_) => self.obey(None, luggage),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.host_gone(),
            }
        }
    }

    fn obey(&mut self, order: Option<Order>, luggage: Luggage) {
        match (order, &self.phase) {
            (Some(Order::Go), Phase::Waiting) => self.go(luggage),
            (Some(Order::Term(target)), Phase::Running(worker) | Phase::Leaving(worker, _)) => {
                worker.term(target);
            }
            // Nobody waits for a worker that has not become one yet.
            (Some(Order::Term(_) | Order::Kill), Phase::Waiting) => exit(0),
            (Some(Order::Term(_)), Phase::Starting(worker, _)) => self.kill(Some(*worker)),
            (
                Some(Order::Kill),
                Phase::Starting(worker, _) | Phase::Running(worker) | Phase::Leaving(worker, _),
            ) => {
                self.kill(Some(*worker));
            }
            (_, Phase::Ending(..)) => {}
            // Not our host, or not in its right mind: the safe thing is to leave nothing.
            (None | Some(Order::Go), _) => self.host_gone(),
        }
    }

    fn go(&mut self, luggage: Luggage) {
        let started = start(luggage);
        // From here on the shim holds none of the worker's output: its end must come with the worker's.
        silence();
        match started {
            Ok((worker, failure)) => self.phase = Phase::Starting(worker, failure),
            Err((step, errno)) => {
                self.tell(News::Failed { step, errno });
                self.tell(News::Done);
                exit(1)
            }
        }
    }

    /// Looks whether the child has become its program, or has said why not.
    fn read_failure(&mut self) {
        let Phase::Starting(worker, failure) = &self.phase else { return };
        let mut files = [PollFd::from_borrowed_fd(failure.as_fd(), PollFlags::IN)];
        if !matches!(poll(&mut files, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..)) {
            return;
        }
        let worker = *worker;
        match offspring::read_failure(failure) {
            None => {
                self.tell(News::Started { pid: worker.pid.as_raw_nonzero().get() });
                self.phase = Phase::Running(worker);
            }
            Some((step, errno)) => {
                self.tell(News::Failed { step, errno });
                self.kill(Some(worker));
            }
        }
    }

    fn host_gone(&mut self) {
        self.host_is_gone = true;
        match self.phase {
            Phase::Waiting => exit(0),
            Phase::Running(worker) if !worker.orphan_grace.is_zero() => {
                worker.term(worker.term);
                self.phase = Phase::Leaving(worker, now() + worker.orphan_grace);
            }
            // It was asked already, and is given this much and no more.
            Phase::Leaving(worker, _) if !worker.orphan_grace.is_zero() => {
                self.phase = Phase::Leaving(worker, now() + worker.orphan_grace);
            }
            Phase::Starting(worker, _) | Phase::Running(worker) | Phase::Leaving(worker, _) => {
                self.kill(Some(worker));
            }
            Phase::Ending(..) => {}
        }
    }

    fn time_is_up(&mut self) {
        match self.phase {
            Phase::Leaving(worker, _) => self.kill(Some(worker)),
            Phase::Ending(worker, looks) => {
                self.walk.kill_all();
                self.phase = Phase::Ending(worker, looks.next(now()));
            }
            Phase::Waiting | Phase::Starting(..) | Phase::Running(_) => {}
        }
    }

    /// Kills the worker's group at one stroke, which no fork in it can escape. Whatever has left the group is killed when
    /// the worker is reaped, which takes a moment, or when the first look is due: a walk at once would find the worker
    /// still running, again and again, and with many shims at work keep the processor from those that are to die.
    /// `None`: the worker is reaped, and its group's number may be another's by now.
    fn kill(&mut self, worker: Option<Worker>) {
        match worker {
            Some(worker) => worker.signal_group(Signal::KILL),
            None => self.walk.kill_all(),
        }
        self.phase = Phase::Ending(worker, Looks::first(now()));
    }

    /// Reaps all who have ended. When the worker is among them, the rest goes too; when nobody is left, so does the shim.
    fn reap(&mut self) {
        loop {
            self.see_worker_off();
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if self.worker().is_some_and(|worker| worker.pid == pid) {
                        // It ended between the look and the wait, and its group was not killed at one stroke.
                        self.worker_ended(status.as_raw());
                    }
                }
                Ok(None) => return,
                Err(Errno::INTR) => {}
                // Nobody to wait for: before the start nobody has been there, after it nobody is left.
                Err(_) if matches!(self.phase, Phase::Waiting) => return,
                Err(_) => {
                    self.tell(News::Done);
                    exit(0)
                }
            }
        }
    }

    fn worker(&self) -> Option<Worker> {
        match &self.phase {
            Phase::Starting(worker, _) | Phase::Running(worker) | Phase::Leaving(worker, _) => Some(*worker),
            Phase::Ending(worker, _) => *worker,
            Phase::Waiting => None,
        }
    }

    /// Where the worker has ended, kills its group before reaping it: until then the group's number is its own.
    fn see_worker_off(&mut self) {
        let Some(worker) = self.worker() else { return };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::Pid(worker.pid), look), Ok(Some(_))) {
            worker.signal_group(Signal::KILL);
        }
    }

    fn worker_ended(&mut self, status: i32) {
        // A child that failed to become the worker has said so, or does with this.
        self.read_failure();
        if self.worker().is_some() {
            self.tell(News::Exited { status });
        }
        self.kill(None);
    }
}

impl Worker {
    fn term(self, target: TermTarget) {
        match target {
            TermTarget::Group => {
                self.signal_group(Signal::TERM);
                self.signal_group(Signal::CONT);
            }
            TermTarget::Main => {
                let Ok(handle) = pidfd_open(self.pid, rustix::process::PidfdFlags::empty()) else { return };
                tree::send(handle.as_fd(), Signal::TERM);
                // A stopped process hears TERM only once it goes on.
                tree::send(handle.as_fd(), Signal::CONT);
            }
        }
    }

    fn signal_group(self, signal: Signal) {
        // A group whose members have all ended cannot be signalled, and need not be.
        let _ = kill_process_group(self.pid, signal);
    }
}

/// Reads the plan and starts the worker. Everything that came along is closed here.
fn start(luggage: Luggage) -> Result<(Worker, OwnedFd), offspring::Failure> {
    let bad_plan = (Step::Plan, Errno::INVAL.raw_os_error());
    let plan = luggage.plan.ok_or(bad_plan)?;
    let wire: WorkerWire = luggage.input.zip(luggage.output);
    let mut plan = Plan::new(map(&plan).ok_or(bad_plan)?).ok_or(bad_plan)?;
    let Offspring { pid, failure } = offspring::fork(&mut plan, wire)?;
    let worker = Worker {
        pid,
        term: plan.term(),
        stop_grace: Duration::from_millis(plan.stop_grace_ms()),
        orphan_grace: Duration::from_millis(plan.orphan_grace_ms()),
    };
    Ok((worker, failure))
}

/// Lets go of the worker's output.
fn silence() {
    use rustix::fs::{Mode, OFlags, open};
    if let Ok(null) = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
