//! Many at once: callers, workers, deaths.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_tests::oracle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::system::subject::{HANG, Kind, Subject, on_both_runtimes};

#[test]
fn s09_more_calls_than_workers_are_all_answered_and_every_worker_has_its_share() {
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::Rust, |options| options.size = 8).await;
        subject.all_ready(8).await;
        let mut calls = JoinSet::new();
        for _ in 0..40 {
            let pit = subject.pit.clone();
            calls.spawn(async move { pit.execute("sleep", &json!({"ms": 20})).await });
        }
        assert!(calls.join_all().await.iter().all(Result::is_ok));
        let workers = subject.pit.workers("default").await.unwrap();
        let served: Vec<_> = workers.iter().map(|worker| worker.served.unwrap()).collect();
        assert_eq!(served.iter().sum::<u64>(), 40);
        assert!(served.iter().all(|served| *served > 0), "{served:?}");
        subject.stop().await;
    });
}

#[test]
fn s20_sixty_four_workers_start_together_and_each_is_a_process_of_its_own() {
    // Over pipes, and over a socket for each.
    for kind in [Kind::Rust, Kind::GrpcRust] {
        on_both_runtimes(|| async {
            let subject = Subject::start_with(kind, |options| {
                options.size = 64;
                options.startup_concurrency = 64;
            })
            .await;
            subject.all_ready(64).await;
            assert_eq!(subject.pids().await.into_iter().collect::<HashSet<_>>().len(), 64);
            assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
            subject.stop().await;
        });
    }
}

/// What came of the calls of one caller.
#[derive(Default)]
struct Tally {
    answered: u64,
    lost: u64,
}

#[test]
fn s23_a_crash_storm_leaves_the_pool_whole() {
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::Rust, |options| {
            options.size = 8;
            (options.restart.intensity, options.restart.consecutive) = (100_000, 100_000);
            options.restart.backoff_max = Duration::from_millis(100);
        })
        .await;
        subject.all_ready(8).await;
        let over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..16 {
            let (pit, over) = (subject.pit.clone(), Arc::clone(&over));
            callers.spawn(async move {
                let mut tally = Tally::default();
                while !over.load(Ordering::Relaxed) {
                    match pit.execute("sleep", &json!({"ms": 2})).await {
                        Ok(_) => tally.answered += 1,
                        Err(error) if error.code() == "worker_lost" => tally.lost += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
                tally
            });
        }
        let mut killed = Vec::new();
        for cycle in 1..=30 {
            let deadline = Instant::now() + HANG;
            while killed.len() < 2 * cycle {
                assert!(Instant::now() < deadline, "{:?}", subject.pit.workers("default").await);
                // Of those that are ready, so that no blow falls on one that is dead already.
                for victim in subject.pids().await {
                    if killed.len() < 2 * cycle && oracle::runs(victim) && !killed.contains(&victim) {
                        oracle::signal(victim, Signal::SIGKILL);
                        killed.push(victim);
                    }
                }
                sleep(Duration::from_millis(1)).await;
            }
        }
        subject.all_ready(8).await;
        over.store(true, Ordering::Relaxed);
        let tallies = callers.join_all().await;
        let (answered, lost) = tallies
            .iter()
            .fold((0, 0), |(answered, lost), tally| (answered + tally.answered, lost + tally.lost));
        assert!(killed.len() == 60 && answered > 0);
        assert!(lost <= killed.len() as u64, "{lost} calls were lost to {} deaths", killed.len());
        assert!(killed.iter().all(|pid| !oracle::runs(*pid)));
        let stats = subject.pit.stats("default").await.unwrap();
        assert_eq!((stats.total, stats.available, stats.running, stats.waiting), (8, 8, 0, 0), "{stats:?}");
        assert_eq!(stats.requests, answered + lost, "{stats:?}");
        let living: HashSet<_> = subject.pids().await.into_iter().collect();
        assert_eq!(living.len(), 8);
        assert!(killed.iter().all(|pid| !living.contains(pid)), "a dead worker is listed");
        subject.stop().await;
    });
}
