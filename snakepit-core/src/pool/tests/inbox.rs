//! Requests that the pool has not read yet, and what becomes of them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::adapter::AdapterMessage;
use crate::error::ExecuteError;
use crate::pool::tests::bench::{Bench, done, options, request};

/// Sends a request without letting the pool's actor run.
fn begin<F: Future>(call: std::pin::Pin<&mut F>) {
    assert!(matches!(call.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_life_of_the_pool_has_read_is_answered_by_its_end() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let mut unread = pin!(bench.pool.execute(request("unread")));
    begin(unread.as_mut());
    bench.kill_pool().await;
    assert!(matches!(unread.await, Err(ExecuteError::PoolRestarted { .. })));
    assert!(bench.run(request("next"), &mut life).await.is_ok());
    assert!(!life.has_more(), "the unread one was never handed over");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_together_is_handed_over_in_the_order_in_which_it_came() {
    let mut bench = Bench::start(options(|o| (o.size, o.capacity) = (2, 8))).await;
    let lives = bench.all_lives::<2>().await;
    let calls: Vec<_> = (0..10).map(|number| bench.call(&number.to_string())).collect();
    for mut life in lives {
        let mut before = None;
        for _ in 0..5 {
            let (id, command) = life.next_command().await;
            assert!(before < Some(id), "{command} overtook another");
            before = Some(id);
            life.answer(id, &done());
        }
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_before_it_is_read_is_cancelled_behind_itself() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    {
        let mut given_up = pin!(bench.pool.execute(request("given up")));
        begin(given_up.as_mut());
    }
    let id = life.next_request().await;
    assert!(matches!(life.next().await, AdapterMessage::Cancel { id: cancelled } if cancelled == id));
    life.answer(id, &done());
    bench.settled(|stats| (stats.available, stats.cancelled) == (1, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_follows_a_request_does_not_overtake_it() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let mut last = pin!(bench.pool.execute(request("last")));
    begin(last.as_mut());
    let close = bench.pool.close(tokio::time::Instant::now() + std::time::Duration::from_secs(5));
    let answered = async {
        let id = life.next_request().await;
        life.answer(id, &done());
    };
    let (report, (), last) = tokio::join!(close, answered, last);
    assert!(last.is_ok());
    assert_eq!((report.finished, report.abandoned), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_pool_has_not_read_is_bounded_and_beyond_that_callers_hear_that_it_is_saturated() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 2)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let permit = bench.pool.reserve().await.unwrap();
    // Nothing here lets the pool run: each request lies there for good, also of callers that go at once.
    let mut refused = 0_usize;
    let mut lying = 0_usize;
    for _ in 0..10_000 {
        let mut call = pin!(bench.pool.execute(request("much")));
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => lying += 1,
            Poll::Ready(Err(ExecuteError::Saturated { queued, limit, .. })) => {
                assert_eq!((queued, limit), (lying, 2));
                refused += 1;
            }
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
    assert!((3..2_000).contains(&lying), "{lying} lie there");
    // A place that is reserved is there nevertheless.
    let mut reserved = pin!(permit.execute(request("reserved")));
    begin(reserved.as_mut());
    let stats = bench.settled(|stats| stats.requests == 10_001).await;
    assert!(stats.saturated >= refused as u64, "{stats:?}");
    assert_eq!((stats.failed, stats.waiting), (10_000, 1), "every one but the reserved one has ended");
    let answered = async {
        let given_up = life.next_request().await;
        assert!(matches!(life.next().await, AdapterMessage::Cancel { id } if id == given_up));
        life.answer(given_up, &done());
        let id = life.next_request().await;
        life.answer(id, &done());
    };
    let (reserved, ()) = tokio::join!(reserved, answered);
    assert!(reserved.is_ok());
}
