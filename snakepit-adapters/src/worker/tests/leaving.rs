//! How a worker leaves: when its host is gone, when it is told to, and when the host breaks the contract.

use std::sync::mpsc;

use serde_json::json;
use snakepit_core::{Payload, Request};

use super::host::{Host, execute_frame, within_limit};
use crate::port::frame::{Kind, LogLevel};
use crate::worker::crew::End;
use crate::worker::process::StartFailure;
use crate::worker::{CommandError, Worker};

fn adding() -> Worker {
    Worker::new().command("add", |_ctx, (a, b): (i64, i64)| Ok(a + b))
}

/// A worker with a command that says when it begins and runs until the test lets it end.
fn blocking() -> (Worker, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let worker = adding().command("block", move |ctx, (): ()| {
        ctx.log(LogLevel::Info, "begins");
        released.lock().unwrap().recv().map_err(CommandError::from)
    });
    (worker, release)
}

#[test]
fn it_leaves_when_the_host_is_gone_idle_or_busy() {
    within_limit(|| {
        let mut host = Host::ready(adding());
        host.die();
        assert_eq!(host.end(), End::Done);

        let (worker, _release) = blocking();
        let mut host = Host::ready(worker);
        host.execute(1, "block", &json!(null));
        host.expect(Kind::Log, 1);
        host.write(&[0, 0]);
        host.die();
        assert_eq!(host.end(), End::Done, "in the middle of work, and of a frame");
    });
}

#[test]
fn drain_finishes_what_has_come_and_refuses_what_comes() {
    within_limit(|| {
        let (worker, release) = blocking();
        let mut host = Host::ready(worker);
        host.execute(1, "block", &json!(null));
        host.expect(Kind::Log, 1);
        host.execute(2, "add", &json!([1, 2]));
        host.send(Kind::Drain, 0, b"");
        host.execute(3, "add", &json!([1, 2]));
        assert_eq!(host.expect_error(3, "draining")["retryable"], true);
        release.send(()).unwrap();
        host.expect_result(1, &json!(null));
        host.expect_result(2, &json!(3));
        assert_eq!(host.end(), End::Done);

        let mut host = Host::ready(adding());
        host.send(Kind::Drain, 0, b"");
        assert_eq!(host.end(), End::Done, "when idle, at once");
    });
}

#[test]
fn a_term_finishes_what_runs_and_refuses_what_waits() {
    within_limit(|| {
        let (worker, release) = blocking();
        let mut host = Host::ready(worker);
        host.execute(1, "block", &json!(null));
        host.expect(Kind::Log, 1);
        host.execute(2, "add", &json!([1, 2]));
        // A Pong shows that the two before it have been taken in.
        host.send(Kind::Ping, 7, b"");
        host.expect(Kind::Pong, 7);
        host.terminate();
        host.expect_error(2, "draining");
        release.send(()).unwrap();
        host.expect_result(1, &json!(null));
        assert_eq!(host.end(), End::Done);

        let host = Host::ready(adding());
        host.terminate();
        assert_eq!(host.end(), End::Done, "when idle, at once");
    });
}

/// The process ended while a thread had in hand what it had read, or refused what waited: no answer came, and it went nowhere else.
#[test]
fn all_that_was_read_is_answered_before_it_leaves_and_the_rest_stays_unread() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED leaving: only Linux says at the end that is written what lies in a pipe");
        return;
    }
    within_limit(|| {
        for round in 0..300 {
            let mut host = Host::ready(adding().threads(1 + round % 2));
            let add = Request::new("add", Payload::json(&json!([1, 2])).unwrap());
            let sent: Vec<_> = (1..=40).map(|id| execute_frame(id, &add)).collect();
            let (before, behind) = sent.split_at(usize::from(round % 40));
            for frame in before {
                host.write(frame);
            }
            let crew = host.crew();
            let terminates = std::thread::spawn(move || crew.terminate());
            for frame in behind {
                host.write(frame);
            }
            assert_eq!(host.end(), End::Done);
            let (answered, unread) = (host.said_by_now().len(), host.unread_by_worker());
            terminates.join().unwrap();
            assert_eq!(answered as u64 + unread / sent[0].len() as u64, 40, "round {round}");
        }
    });
}

#[test]
fn a_host_that_breaks_the_contract_is_left_with_its_name() {
    within_limit(|| {
        let block = execute_frame(1, &Request::new("block", Payload::json(&()).unwrap()));
        let cases = [
            (b"rubbish".to_vec(), "length_too_long: "),
            ([&block[..], &block[..]].concat(), "duplicate_request: Execute for request 1"),
            (vec![0, 0, 0, 12, 0x43, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "unknown_kind: "),
            (
                vec![0, 0, 0, 14, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'],
                "out_of_order: Hello came a second",
            ),
        ];
        for (bytes, begins) in cases {
            let (worker, _release) = blocking();
            let mut host = Host::ready(worker);
            host.write(&bytes);
            match host.end() {
                End::HostBrokeContract(what) => assert!(what.starts_with(begins), "{what}"),
                other => panic!("{other:?} instead of {begins}"),
            }
        }
    });
}

#[test]
fn it_does_not_begin_with_a_host_that_it_cannot_talk_to() {
    within_limit(|| {
        let mut host = Host::silent(adding());
        host.send_json(Kind::Hello, 0, &json!({"protocol": [2, 3]}));
        assert!(
            matches!(host.start_result(), Err(StartFailure::NoCommonVersion { offered }) if offered == [2, 3])
        );

        let mut host = Host::silent(adding());
        host.execute(1, "add", &json!([1, 2]));
        match host.start_result() {
            Err(StartFailure::HostBrokeContract(what)) => {
                assert_eq!(what, "out_of_order: Execute came before Hello");
            }
            other => panic!("{:?}", other.err()),
        }

        let mut host = Host::silent(adding());
        host.die();
        assert!(matches!(host.start_result(), Err(StartFailure::HostGone)));
    });
}

/// The host asked as soon as it heard Ready, and its SIGTERM found no crew: the process left in the middle of a stream.
#[test]
fn a_worker_that_has_not_begun_has_said_nothing_and_can_be_told_to_leave() {
    within_limit(|| {
        let (mut host, greeted) = Host::greeting(adding());
        assert_eq!(host.unread(), 0);
        host.terminate();
        assert!(greeted.begin().is_ok());
        host.expect(Kind::Ready, 0);
        assert_eq!(host.end(), End::Done);
    });
}
