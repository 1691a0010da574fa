//! A host with a terminal: Ctrl-C, Ctrl-Z and back, and the terminal that goes away.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use serde_json::Value;
use snakepit_tests::keeper::{HANG, Kept};
use snakepit_tests::oracle::{holds_within, look};
use tempfile::TempDir;

use crate::no_orphans::bed::{PATIENCE, ROLES, args, keeping, numbers, status};

const CTRL_C: &[u8] = b"\x03";
const CTRL_Z: &[u8] = b"\x1a";

/// A host in the foreground of a terminal of its own.
struct Session {
    kept: Kept,
    /// What a person types goes here.
    keyboard: File,
    workers: Vec<i32>,
    _directory: TempDir,
}

impl Session {
    /// The workers of these hosts block no signal, so that each that reached them would end them.
    fn open(flags: &[&str]) -> Self {
        Self::open_over(flags, &["--hears-term"])
    }

    fn open_over(flags: &[&str], misdeeds: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Closed on exec from the first moment: a test beside this one that starts something would keep it open.
        let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname_r(&terminal).unwrap();
        let args = args(directory.path(), flags, misdeeds);
        let mut kept = keeping().tty(path).run(Path::new(ROLES), args).unwrap();
        let workers = numbers(&kept.line(HANG).unwrap());
        Self { kept, keyboard: OwnedFd::from(terminal).into(), workers, _directory: directory }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    fn report(&mut self) -> Value {
        serde_json::from_str(&self.kept.answer("shutdown").unwrap()).unwrap()
    }

    fn assert_nothing_left(mut self) {
        self.kept.until_empty(PATIENCE).expect("nothing is left");
    }
}

fn state(pid: i32) -> Option<char> {
    look(pid).map(|process| process.state)
}

#[test]
fn p19_ctrl_c_reaches_the_host_and_no_worker() {
    let mut session = Session::open(&["--holds-int"]);
    let host = session.kept.host().pid();
    let interrupted = || {
        let pending = u64::from_str_radix(&status(host, "ShdPnd"), 16).unwrap();
        pending & (1 << (Signal::SIGINT as i32 - 1)) != 0
    };
    for _ in 0..2 {
        session.type_keys(CTRL_C);
        assert!(holds_within(HANG, interrupted), "the host is interrupted");
    }
    session.type_keys(b"pids\n");
    assert_eq!(numbers(&session.kept.answer("pids").unwrap()), session.workers);
    session.kept.host().signal(Signal::SIGKILL);
    session.assert_nothing_left();
}

#[test]
fn p19_ctrl_c_stops_the_pit_in_its_grace() {
    let mut session = Session::open(&["--on-signal", "20000", "--grace", "5000"]);
    session.type_keys(CTRL_C);
    let report = session.report();
    // They hear TERM, and no interrupt before it.
    assert_eq!(report["pools"][0]["workers_left"], 2, "{report}");
    session.assert_nothing_left();
}

#[test]
fn p19_a_second_ctrl_c_stops_the_pit_at_once() {
    let mut session = Session::open_over(&["--on-signal", "3600000", "--grace", "1800000"], &[]);
    // A terminal makes one signal of two that nobody has taken yet, so it is typed until it is heard twice.
    let host = session.kept.host().pid();
    while state(host).is_some() {
        session.type_keys(CTRL_C);
        if let Some(line) = session.kept.line(std::time::Duration::from_millis(50)) {
            let report: Value = serde_json::from_str(line.strip_prefix("shutdown ").unwrap()).unwrap();
            assert_eq!(report["pools"][0]["workers_killed"], 2, "{report}");
            break;
        }
    }
    session.assert_nothing_left();
}

#[test]
fn p19_ctrl_c_ends_a_host_that_does_nothing_about_it_and_nothing_is_left() {
    let mut session = Session::open(&[]);
    session.type_keys(CTRL_C);
    assert_eq!(session.kept.until_ended(HANG), Some("SIGINT"));
    session.assert_nothing_left();
}

#[test]
fn p19_ctrl_z_stops_the_host_alone_and_it_goes_on_in_the_foreground() {
    let mut session = Session::open(&[]);
    let host = session.kept.host().pid();
    session.type_keys(CTRL_Z);
    assert!(holds_within(HANG, || state(host) == Some('T')), "the host is suspended");
    for worker in &session.workers {
        // A worker may be caught at work as well as at rest.
        assert!(matches!(state(*worker), Some('R' | 'S' | 'D')), "a worker is not in the foreground");
    }
    session.kept.host().signal(Signal::SIGCONT);
    session.type_keys(b"pids\n");
    assert_eq!(numbers(&session.kept.answer("pids").unwrap()), session.workers);
    session.type_keys(b"shutdown 20000\n");
    assert!(session.kept.answer("shutdown").unwrap().contains("\"processes_left\":[]"));
    session.type_keys(b"leave\n");
    session.assert_nothing_left();
}

#[test]
fn p19_a_terminal_that_hangs_up_takes_the_host_and_all_workers() {
    let Session { mut kept, keyboard, .. } = Session::open(&[]);
    drop(keyboard);
    assert_eq!(kept.until_ended(HANG), Some("SIGHUP"));
    kept.until_empty(PATIENCE).expect("nothing is left");
}
