//! The watch over the pool itself, with a pool whose books are wrong.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use snakepit_supervisor::{ChildSpec, DynamicSupervisorSpec};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use crate::adapter::AdapterMessage;
use crate::config::Affinity;
use crate::id::{Incarnation, PoolName, RequestId, Slot};
use crate::pool::actor::PoolState;
use crate::pool::in_flight::{Flight, Stage};
use crate::pool::message::{Life, PoolMessage, PoolTimer};
use crate::pool::pool_worker::PoolWorker;
use crate::pool::slot_plan::Duty;
use crate::pool::tests::bench::{Bench, options, request, submission};
use crate::pool::tests::ear::{Ear, ear};
use crate::pool::{PoolArgs, PoolShared, Vitals};
use crate::telemetry::{Event, EventSink};
use crate::worker::WorkerMessage;

fn args(events: &EventSink) -> PoolArgs {
    let name = PoolName::new("bench").unwrap();
    PoolArgs {
        shared: Arc::new(PoolShared::new(name, options(|_| {}), Arc::new(AtomicU64::new(0)), events.clone())),
        starters: DynamicSupervisorSpec::new("starters").handle(),
        starter: Arc::new(|slot| {
            ChildSpec::worker(slot.to_string(), || (Ear::<WorkerMessage>::default(), unbounded_channel().0))
        }),
        sessions: crate::address::Address::default(),
    }
}

fn flight(id: RequestId, now: Instant) -> Flight {
    let (submission, _) = submission(id, request("stalled"));
    Flight::new(submission, Affinity::Off, now)
}

#[tokio::test(start_paused = true)]
async fn s11_requests_that_wait_beside_a_free_worker_are_noticed_and_served() {
    let events = EventSink::default();
    let mut heard = events.subscribe(None);
    stall(&events).await;
    loop {
        let record = heard.next().await.unwrap().unwrap();
        if let Event::PoolStalled { pool, waiting } = &record.event {
            assert_eq!((pool.as_str(), *waiting), ("bench", 1));
            return;
        }
    }
}

/// A pool stalls, and heals itself.
pub(super) async fn stall(events: &EventSink) {
    let (myself, mut pool_hears) = ear::<PoolMessage>().await;
    let (worker, _worker_hears) = ear::<WorkerMessage>().await;
    let (adapter, mut adapter_hears) = ear::<AdapterMessage>().await;
    let mut state = PoolState::new(args(events), myself);
    let life = Life { slot: Slot(0), incarnation: Incarnation(1) };
    let vitals = Arc::new(Vitals::default());
    let worker =
        PoolWorker { actor: worker, adapter: adapter.get_derived().into(), vitals, tells_started: false };
    state.roster.add(life.slot, Duty::Kept);
    state.worker_ready(life, 1, worker, Instant::now());
    // A request that was put into the line although the worker is free: no rule of the pool does that.
    let id = RequestId(1);
    let mut lost = flight(id, Instant::now());
    lost.stage = Stage::Waiting(state.line.join(id, None));
    state.in_flight.insert(id, lost);
    state.watch(Instant::now());
    assert!(adapter_hears.is_empty(), "one look is no proof");
    let due = tokio::time::timeout(Duration::from_secs(2), pool_hears.recv()).await;
    assert!(matches!(due, Ok(Some(PoolMessage::Timer(PoolTimer::WatchDue)))), "{due:?}");
    state.watch(Instant::now());
    assert!(matches!(adapter_hears.recv().await, Some(AdapterMessage::Execute { id: RequestId(1), .. })));
    assert_eq!((state.counters.stalls, state.line.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn s11_a_pool_at_work_never_stalls() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls: Vec<_> = (0..50).map(|_| bench.call("work")).collect();
    for _ in 0..25 {
        for life in [&mut a, &mut b] {
            let id = life.next_request().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            life.answer(id, &super::bench::done());
        }
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(bench.stats().await.stalls, 0);
}
