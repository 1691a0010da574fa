//! Workers that say by their exit code that another start is of no use.

use std::time::Duration;

use crate::adapter::scripted::{Boot, ScriptedLife};
use crate::config::PoolOptions;
use crate::error::{AwaitReadyError, LossCause};
use crate::id::Slot;
use crate::pool::message::PoolCommand;
use crate::pool::tests::bench::{Bench, options, request};
use crate::pool::{HealthStatus, RestartOutlook};
use crate::process::ProcessExit;
use crate::telemetry::EventSink;
use crate::worker::{WorkerMessage, WorkerPhase};

const HOUR: Duration = Duration::from_hours(1);
const NEVER_AGAIN: LossCause = LossCause::ProcessExited { exit: ProcessExit::Code(78) };

impl Bench {
    /// A worker's process exits with this code.
    pub(super) async fn exits(&self, life: &ScriptedLife, code: i32) {
        self.settled(|stats| stats.available > 0).await;
        let roster = self.pool.ask(|reply| PoolCommand::GetRoster { reply }).await.unwrap();
        let row = roster.into_iter().find(|row| row.slot == life.life.worker.slot).unwrap();
        let cause = LossCause::ProcessExited { exit: ProcessExit::Code(code) };
        row.worker.unwrap().cast(WorkerMessage::Replace { cause }).unwrap();
    }

    /// A pool whose only worker has just exited with code 78.
    async fn given_up(change: impl FnOnce(&mut PoolOptions)) -> (Self, ScriptedLife) {
        let mut bench = Self::start(options(change)).await;
        let life = bench.life().await;
        bench.exits(&life, 78).await;
        bench.settled(|stats| stats.quarantined == 1).await;
        (bench, life)
    }
}

#[tokio::test(start_paused = true)]
async fn s31_a_pool_whose_every_worker_says_never_again_fails_at_once_and_tries_none_again() {
    let events = EventSink::default();
    let mut told = events.subscribe(None);
    let mut bench = Bench::start_telling(options(|_| {}), Boot::Ready, &events).await;
    let life = bench.life().await;
    let running = bench.call("running");
    bench.settled(|stats| stats.running == 1).await;
    let row = bench.pool.ask(|reply| PoolCommand::GetRoster { reply }).await.unwrap().remove(0);
    row.worker.unwrap().cast(WorkerMessage::Replace { cause: NEVER_AGAIN }).unwrap();
    assert_eq!(running.await.unwrap().unwrap_err().code(), "worker_lost");
    bench.settled(|stats| stats.quarantined == 1).await;
    let ready = bench.pool.await_ready(HOUR).await;
    let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
    assert_eq!(reason.last_loss().unwrap().cause, NEVER_AGAIN);
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_failed");
    tokio::time::sleep(HOUR).await;
    assert!(bench.lives.is_empty(), "it was tried again");
    assert_eq!(bench.stats().await.restarts, 1);
    let health = bench.pool.health().await;
    assert_eq!(health.status, HealthStatus::Failed);
    assert!(health.reason.unwrap().to_string().contains("exited with code 78"));
    let explained = bench.pool.explain(Slot(0)).await.unwrap();
    assert_eq!((explained.incarnation.0, explained.next), (1, RestartOutlook::Nothing));
    assert_eq!(explained.last_loss.unwrap().life, life.life);
    let worker = bench.pool.workers().await.unwrap().remove(0);
    assert_eq!((worker.phase, worker.last_loss.unwrap().cause.clone()), (WorkerPhase::GivenUp, NEVER_AGAIN));
    let mut names = Vec::new();
    while names.last() != Some(&"snakepit.pool.failed") {
        names.push(told.next().await.unwrap().unwrap().event.name());
    }
    names.retain(|name| name.starts_with("snakepit.slot"));
    assert_eq!(names, ["snakepit.slot.gave_up"]);
}

#[tokio::test(start_paused = true)]
async fn s31_no_restart_of_the_pools_own_actors_tries_it_again() {
    let (mut bench, _life) = Bench::given_up(|_| {}).await;
    bench.kill_pool().await;
    bench.settled(|stats| stats.quarantined == 1).await;
    assert_eq!(bench.pool.health().await.status, HealthStatus::Failed);
    bench.kill_session_affinity().await;
    assert!(matches!(bench.pool.await_ready(HOUR).await, Err(AwaitReadyError::PoolFailed { .. })));
    tokio::time::sleep(HOUR).await;
    assert!(bench.lives.is_empty(), "it was tried again");
    // What asks for another worker is heard also after that.
    assert!(bench.pool.recycle(Slot(0)).await.is_ok());
    assert_eq!(bench.life().await.life.worker.slot, Slot(1));
}

#[tokio::test(start_paused = true)]
async fn s31_an_exit_that_no_life_of_the_pool_heard_of_is_not_tried_again_either() {
    let mut bench = Bench::start(options(|_| {})).await;
    let life = bench.life().await;
    bench.exits(&life, 78).await;
    bench.kill_pool().await;
    bench.settled(|stats| stats.quarantined == 1).await;
    tokio::time::sleep(HOUR).await;
    assert!(bench.lives.is_empty(), "it was tried again");
}

#[tokio::test(start_paused = true)]
async fn s31_a_slot_that_is_given_up_leaves_its_siblings_alone() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, b] = bench.all_lives().await;
    bench.exits(&b, 78).await;
    bench.settled(|stats| stats.quarantined == 1).await;
    assert_eq!(bench.pool.health().await.status, HealthStatus::Degraded);
    assert!(bench.run(request("work"), &mut a).await.is_ok());
    // Made smaller, the pool does without that slot first; made larger, it starts another.
    bench.pool.resize(1).await.unwrap();
    bench.settled(|stats| stats.total == 1).await;
    assert_eq!(bench.pool.health().await.status, HealthStatus::Ready);
    bench.pool.resize(2).await.unwrap();
    let again = bench.life().await;
    assert_eq!((again.life.worker.slot, again.life.incarnation.0), (Slot(1), 2));
}

#[tokio::test(start_paused = true)]
async fn s31_whoever_has_mended_the_cause_asks_for_other_workers() {
    let (mut bench, _life) = Bench::given_up(|_| {}).await;
    let pool = bench.pool.clone();
    let rolling = tokio::spawn(async move { pool.rolling_restart().await });
    let mut life = bench.life().await;
    assert!(rolling.await.unwrap().unwrap().is_complete());
    assert_eq!(bench.pool.health().await.status, HealthStatus::Ready);
    assert!(bench.run(request("work"), &mut life).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn s31_exit_codes_that_mean_it_are_the_pools_own() {
    let mut bench = Bench::start(options(|o| o.restart.fatal_exit_codes = vec![3])).await;
    let life = bench.life().await;
    bench.exits(&life, 78).await;
    let life = bench.life().await;
    bench.exits(&life, 3).await;
    bench.settled(|stats| stats.quarantined == 1).await;
    tokio::time::sleep(HOUR).await;
    assert!(bench.lives.is_empty(), "it was tried again");
}
