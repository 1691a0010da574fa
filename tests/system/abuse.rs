//! Workers that break the contract while they serve: that worker is ended with the rule's name, and nothing else is.

use std::time::Duration;

use serde_json::{Value, json};
use snakepit_adapters::{ExecuteError, LossCause, OnStuck, Payload};
use tokio::task::JoinSet;

use crate::system::subject::{HANG, Subject, everywhere, on_both_runtimes};

/// Two workers that serve well until one is asked to misbehave in the way that the flag says.
async fn on_demand(flag: &str) -> Subject {
    let subject = Subject::start_stub(&[flag, "--on-demand"], |_| {}).await;
    subject.all_ready(2).await;
    subject
}

async fn serves_on(subject: &Subject) {
    for n in 0..20 {
        let echoed: Value = subject.pit.call("echo", &json!({"value": n})).await.unwrap();
        assert_eq!(echoed, json!({"value": n}));
    }
}

/// Waits until a worker has been replaced, once and no more often.
async fn replaced_once(subject: &Subject) {
    let deadline = tokio::time::Instant::now() + HANG;
    loop {
        let workers = subject.pit.workers("default").await.unwrap();
        if workers.iter().map(|worker| worker.restarts).sum::<u64>() == 1
            && workers.iter().all(|worker| worker.agent.is_some())
        {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{workers:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn every_breach_is_named_and_costs_that_worker_and_nothing_else() {
    on_both_runtimes(|| async {
        for (flag, word) in [
            ("--rubbish", "length_too_long"),
            ("--oversize-length", "length_too_long: a frame states a length of 4294967295 bytes"),
            ("--answer-unasked", "out_of_order"),
            ("--ready-twice", "out_of_order: Ready came a second time"),
            ("--half-body", "body_under_way"),
            ("--part-first", "part_without_start"),
            ("--begin-twice", "body_under_way"),
            ("--unknown-flag", "reserved_bits"),
            ("--unknown-kind", "unknown_kind"),
            ("--wrong-lengths", "body_lengths"),
            ("--no-text", "text"),
            ("--no-json", "json"),
            ("--wrong-answer", "out_of_order"),
        ] {
            let subject = on_demand(flag).await;
            serves_on(&subject).await;
            let error = subject.pit.execute("misbehave", &json!({})).await.unwrap_err();
            let ExecuteError::Protocol { loss } = &error else { panic!("{flag}: {error}") };
            let LossCause::Protocol { what } = &loss.cause else { panic!("{flag}: {loss}") };
            assert!(what.starts_with(word), "{flag}: {what}");
            serves_on(&subject).await;
            replaced_once(&subject).await;
            serves_on(&subject).await;
            subject.stop().await;
        }
    });
}

#[test]
fn a_second_answer_costs_its_worker_and_the_first_stands() {
    on_both_runtimes(|| async {
        let subject = on_demand("--answer-twice").await;
        let answer: Value = subject.pit.call("misbehave", &json!({"value": 1})).await.unwrap();
        assert_eq!(answer, json!({"value": 1}));
        replaced_once(&subject).await;
        serves_on(&subject).await;
        subject.stop().await;
    });
}

#[test]
fn chunks_beyond_credit_cost_their_worker_and_the_stream_does_not_look_whole() {
    on_both_runtimes(|| async {
        let subject = on_demand("--chunks-beyond-credit").await;
        let mut stream = subject.pit.execute_stream("misbehave", &json!({})).unwrap();
        let error = loop {
            match stream.next().await.expect("the stream does not end as if it were whole") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), "protocol_error");
        assert!(error.to_string().contains("beyond credit"), "{error}");
        serves_on(&subject).await;
        replaced_once(&subject).await;
        subject.stop().await;
    });
}

#[test]
fn half_a_frame_and_then_silence_answers_its_caller_in_time_and_replaces_that_worker() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--half-frame", "--on-demand"], |options| {
            options.cancel_grace = Duration::from_millis(50);
            options.on_stuck = OnStuck::Kill;
        })
        .await;
        subject.all_ready(2).await;
        let pool = subject.pit.pool("default").unwrap();
        // Silence is no breach by itself: a slow worker is silent, too. The deadline and the grace judge it.
        let half = pool.request("misbehave").args(&json!({})).unwrap().timeout(Duration::from_millis(200));
        let error = half.send().await.unwrap_err();
        assert!(matches!(error, ExecuteError::DeadlineExceeded { running: true, .. }), "{error}");
        serves_on(&subject).await;
        replaced_once(&subject).await;
        subject.stop().await;
    });
}

#[test]
fn sixty_four_mebibytes_both_ways_at_once_come_through_and_small_requests_pass() {
    const SIZE: usize = 8 << 20;
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let mut large = JoinSet::new();
        for n in 0..8_u8 {
            let pool = subject.pit.pool("default").unwrap().clone();
            let text = char::from(b'a' + n).to_string().repeat(SIZE);
            large.spawn(async move {
                let echoed: String = pool.call("echo", &json!({"value": text})).await.unwrap();
                assert!(echoed == text);
            });
        }
        let small = tokio::spawn({
            let pit = subject.pit.clone();
            async move {
                for n in 0..10 {
                    let sum: i64 = pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
                    assert_eq!(sum, n + 1);
                }
            }
        });
        large.join_all().await;
        small.await.unwrap();
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn both_pipes_of_one_worker_full_at_the_same_time_come_to_no_standstill() {
    const SIZE: usize = 16 << 20;
    on_both_runtimes(|| async {
        // Four threads answer while four more requests are on their way: 64 MiB in each direction at once.
        let subject = Subject::start_stub(&["--threads", "4", "--capacity", "8"], |options| {
            options.size = 1;
            options.capacity = 8;
        })
        .await;
        subject.all_ready(1).await;
        let mut large = JoinSet::new();
        for n in 0..8_u8 {
            let pool = subject.pit.pool("default").unwrap().clone();
            large.spawn(async move {
                let payload = Payload::bytes(vec![n; SIZE]);
                let answer = pool.request("echo").payload(payload.clone()).send().await.unwrap();
                assert!(answer.payload == payload);
            });
        }
        large.join_all().await;
        subject.stop().await;
    });
}
