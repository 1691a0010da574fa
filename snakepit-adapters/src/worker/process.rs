//! The process around a worker: its pipes, its signals, and the code with which it leaves.

use std::ffi::OsStr;
#[cfg(feature = "grpc")]
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
#[cfg(feature = "grpc")]
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, Signal};

#[cfg(feature = "grpc")]
use crate::grpc::{ADDRESS, TOKEN, Token, WorkerAddress};
use crate::worker::builder::Worker;
use crate::worker::crew::{Crew, End};
#[cfg(feature = "grpc")]
use crate::worker::grpc;
use crate::worker::wire::{FromHost, ToHost};

const FROM_HOST: RawFd = 3;
const TO_HOST: RawFd = 4;
/// The pipes of `stdio` move up here: programs that are careless with descriptors are so with small numbers.
const KEPT_FROM: RawFd = 64;

const BROKEN_CONTRACT: i32 = 70;
const NO_THREAD: i32 = 71;
#[cfg(feature = "grpc")]
const NO_SERVER: i32 = 74;
const WRONG_WIRE: i32 = 78;
const PANICKED: i32 = 101;

/// Why a worker could not begin.
#[derive(Debug)]
pub(super) enum StartFailure {
    HostGone,
    HostBrokeContract(String),
    NoCommonVersion { offered: Vec<u32> },
    NoThread(io::Error),
}

/// Serves the host until it is gone or the worker is told to leave.
#[expect(clippy::disallowed_methods, reason = "a worker is told its wire there, by its host")]
pub(super) fn serve(worker: Worker) -> ! {
    let wire = std::env::var_os("SNAKEPIT_WIRE");
    match wire.as_deref().map(OsStr::as_encoded_bytes) {
        Some(b"port") => serve_pipes(worker, take_fd(FROM_HOST).zip(take_fd(TO_HOST))),
        Some(b"stdio") => serve_pipes(worker, take_stdio().ok()),
        #[cfg(feature = "grpc")]
        Some(b"grpc") => serve_grpc(worker),
        Some(_) => leave(WRONG_WIRE, "SNAKEPIT_WIRE names a wire that this worker does not speak"),
        None => {
            println!("a snakepit worker, to be started by its host; it offers: {}", worker.offer());
            leave(0, "")
        }
    }
}

fn serve_pipes(worker: Worker, pipes: Option<(File, File)>) -> ! {
    let Some((from_host, to_host)) = pipes else {
        leave(WRONG_WIRE, "the file descriptors of the wire are not open: no host has started this worker")
    };
    let signals = block_signals();
    let crew = or_leave(worker.start(FromHost::Pipe(from_host), ToHost::Pipe(to_host)));
    let listens = Arc::clone(&crew);
    in_thread("snakepit-signals", move || take_signals(&signals, || listens.terminate()));
    let end = crew.await_end();
    leave_as(end.leave())
}

#[cfg(feature = "grpc")]
fn serve_grpc(worker: Worker) -> ! {
    let (address, token) = (take_variable(ADDRESS), take_variable(TOKEN));
    let address = address.and_then(|text| WorkerAddress::from_text(text.to_str()?));
    let token = token.and_then(|text| text.into_string().ok()).map(Token::from_text);
    let (Some(address), Some(token)) = (address, token) else {
        leave(WRONG_WIRE, &format!("{ADDRESS} and {TOKEN} do not say where to listen, and for whom"))
    };
    let signals = block_signals();
    let crew: Arc<OnceLock<Arc<Crew>>> = Arc::default();
    let listens = Arc::clone(&crew);
    in_thread("snakepit-signals", move || {
        take_signals(&signals, || listens.get().map_or_else(|| leave(0, ""), |crew| crew.terminate()));
    });
    if let Some(host) = take_fd(FROM_HOST) {
        let crew = Arc::clone(&crew);
        in_thread("snakepit-host", move || watch_host(host, &crew));
    }
    let served = match grpc::serve(address, token, take_fd(TO_HOST)) {
        Ok(served) => served,
        Err(error) => leave(NO_SERVER, &format!("the worker cannot be reached: {error}")),
    };
    let (from_host, to_host) = (FromHost::Stream(served.from_host), ToHost::Stream(served.to_host));
    let greeted = or_leave(worker.await_greeting(from_host, to_host));
    // Before it begins: a SIGTERM that finds no crew ends the process, whatever runs.
    let known = crew.get_or_init(|| Arc::clone(greeted.crew()));
    or_leave(greeted.begin());
    let end = known.await_end();
    known.end_output();
    served.server.finish();
    leave_as(end.leave())
}

/// Reads a variable and takes it out: programs that a command starts have no business with it.
///
/// What the process was started with stays to be read in `/proc/PID/environ`, by its own user and by root alone, who could as
/// well trace it.
#[cfg(feature = "grpc")]
#[expect(clippy::disallowed_methods, reason = "the contract says where to listen in the environment")]
fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name);
    #[expect(unsafe_code, reason = "the only way to take a variable out")]
    // SAFETY: `Worker::serve` is to be called before any other thread is started, so nobody reads the environment meanwhile.
    unsafe {
        std::env::remove_var(name);
    }
    value
}

/// Waits for the end of the pipe that the host holds open for as long as it wants the worker.
#[cfg(feature = "grpc")]
fn watch_host(mut host: File, crew: &OnceLock<Arc<Crew>>) {
    // Nothing is ever written to it: whatever comes is the end.
    let _ = io::Read::read(&mut host, &mut [0]);
    match crew.get() {
        Some(crew) => crew.host_gone(),
        None => leave(0, ""),
    }
}

/// Before any thread is started, so that they all have it: the signals then wait for the thread that takes them.
fn block_signals() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    if let Err(error) = signals.thread_block() {
        leave(NO_THREAD, &format!("signals cannot be taken: {error}"));
    }
    signals
}

fn or_leave<T>(started: Result<T, StartFailure>) -> T {
    started.unwrap_or_else(|failure| leave_as(failure.leave()))
}

fn in_thread(name: &str, run: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(run) {
        no_thread(&error);
    }
}

fn no_thread(error: &io::Error) -> ! {
    leave(NO_THREAD, &format!("no thread could be started: {error}"))
}

/// Serves on two pipes, and says with which code the process would leave.
#[cfg(feature = "testkit")]
pub(super) fn serve_on(worker: Worker, from_host: File, to_host: File) -> i32 {
    let started = worker.start(FromHost::Pipe(from_host), ToHost::Pipe(to_host));
    started.map_or_else(StartFailure::leave, |crew| crew.await_end().leave()).0
}

/// With which code the process leaves, and what it says of that.
type Leave = (i32, String);

impl StartFailure {
    fn leave(self) -> Leave {
        match self {
            Self::HostGone => (0, String::new()),
            Self::HostBrokeContract(what) => (BROKEN_CONTRACT, what),
            Self::NoCommonVersion { offered } => {
                (WRONG_WIRE, format!("the host speaks versions {offered:?} of the contract, this worker 1"))
            }
            Self::NoThread(error) => (NO_THREAD, format!("no thread could be started: {error}")),
        }
    }
}

impl End {
    fn leave(self) -> Leave {
        match self {
            Self::Done => (0, String::new()),
            Self::HostBrokeContract(what) => (BROKEN_CONTRACT, what),
            Self::Panicked => (PANICKED, String::new()),
        }
    }
}

fn leave_as((code, why): Leave) -> ! {
    leave(code, &why)
}

/// SIGTERM asks to leave. SIGINT is for the host, which has the same terminal: it decides.
#[cfg_attr(
    target_vendor = "apple",
    expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "a set of signals is small there, and not elsewhere"
    )
)]
fn take_signals(signals: &SigSet, terminate: impl Fn()) {
    loop {
        if let Ok(Signal::SIGTERM) = signals.wait() {
            terminate();
        }
    }
}

/// Takes one of the two pipes over, and keeps it from programs that a command starts.
fn take_fd(fd: RawFd) -> Option<File> {
    #[expect(unsafe_code, reason = "a file descriptor that is inherited has no other way into Rust")]
    // SAFETY: it is only asked whether it is open; nothing is kept of the borrow.
    let open = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_GETFD).is_ok();
    if !open {
        return None;
    }
    #[expect(unsafe_code, reason = "a file descriptor that is inherited has no other way into Rust")]
    // SAFETY: it is open, the contract gives it to this worker, and it is taken once: `serve` does not return.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(owned.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(owned.into())
}

/// Takes the wire off stdin and stdout, which become empty and stderr: what a command prints cannot damage a frame.
fn take_stdio() -> io::Result<(File, File)> {
    let keep = |fd: BorrowedFd<'_>| -> io::Result<File> {
        let kept = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(KEPT_FROM))?;
        #[expect(unsafe_code, reason = "the copy of a file descriptor has no other way into Rust")]
        // SAFETY: it has just been made, and nobody else knows its number.
        Ok(unsafe { OwnedFd::from_raw_fd(kept) }.into())
    };
    let wire = (keep(io::stdin().as_fd())?, keep(io::stdout().as_fd())?);
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    // A worker that was started without a stderr has nowhere to print to.
    nix::unistd::dup2_stdout(io::stderr()).or_else(|_| nix::unistd::dup2_stdout(&nothing))?;
    Ok(wire)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process is the worker's: the contract says when it ends, and how"
)]
fn leave(code: i32, why: &str) -> ! {
    if !why.is_empty() {
        eprintln!("snakepit worker: {why}");
    }
    std::process::exit(code)
}
