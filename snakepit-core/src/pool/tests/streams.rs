//! Streams: order, credit, ends.

use std::time::Duration;

use crate::adapter::{AdapterFailure, AdapterMessage, Outcome, SendChunkError, StreamWindow};
use crate::pool::tests::bench::{Bench, chunk, done, in_session, options, request};

#[tokio::test(start_paused = true)]
async fn s32_each_chunk_is_there_before_the_next_is_made() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    for n in 0..10 {
        chunks.send(chunk(n)).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), chunk(n));
    }
    drop(chunks);
    life.reports.finished(id, Outcome::StreamEnded);
    assert!(stream.response().is_none(), "its end has not been seen");
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none());
    assert_eq!(stream.response().unwrap().worker, life.life);
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.streams, stats.succeeded), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_gets_credit_for_what_was_taken_and_no_more() {
    let mut bench =
        Bench::start(options(|o| o.stream_window = StreamWindow { chunks: 4, bytes: 1000 })).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    assert_eq!(chunks.window(), StreamWindow { chunks: 4, bytes: 1000 });
    for n in 0..4 {
        chunks.send(chunk(n)).unwrap();
    }
    assert_eq!(chunks.send(chunk(4)), Err(SendChunkError::BeyondCredit { window: 4 }));
    for n in 0..2 {
        assert_eq!(stream.next().await.unwrap().unwrap(), chunk(n));
    }
    let AdapterMessage::Credit { id: credited, chunks: granted, bytes } = life.next().await else {
        panic!("no credit")
    };
    assert_eq!((credited, granted, bytes), (id, 2, 2));
    chunks.send(chunk(4)).unwrap();
    chunks.send(chunk(5)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn s34_a_stream_dropped_half_way_is_cancelled() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    assert!(stream.next().await.is_some());
    drop(stream);
    assert_eq!(life.next_cancel().await, id);
    assert_eq!(chunks.send(chunk(1)), Err(SendChunkError::ReaderGone));
    life.reports.finished(id, Outcome::StreamEnded);
    bench.settled(|stats| stats.available == 1).await;
}

#[tokio::test(start_paused = true)]
async fn s35_a_stream_whose_worker_is_lost_hands_out_what_came_and_then_the_error() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (_, chunks) = life.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    drop(chunks);
    life.end(AdapterFailure::Disconnected);
    assert_eq!(stream.next().await.unwrap().unwrap(), chunk(0));
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), "worker_lost");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s38_a_reader_hears_that_its_time_is_up_from_a_worker_that_sends_on() {
    // As long as there was a chunk, nobody looked for the answer.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let short = Duration::from_millis(100);
    let mut stream = bench.pool.execute_stream(request("count").timeout(short)).unwrap();
    let (id, chunks) = life.next_stream().await;
    for n in 0..16 {
        chunks.send(chunk(n)).unwrap();
    }
    assert_eq!(life.next_cancel().await, id);
    let mut came = 0;
    let error = loop {
        match stream.next().await.expect("it does not end as if it were whole") {
            Ok(next) => assert_eq!(next, chunk(came), "what came in time is handed out"),
            Err(error) => break error,
        }
        came += 1;
        assert_eq!(chunks.send(chunk(99)), Err(SendChunkError::ReaderGone));
    };
    assert_eq!((came, error.code()), (16, "deadline_exceeded"));
    assert!(stream.next().await.is_none());
    assert!(!life.has_more(), "a stream that is over was given credit");
}

#[tokio::test(start_paused = true)]
async fn all_chunks_are_read_that_lay_there_when_the_stream_ended() {
    // More than a task may do in its turn: what asks the runtime then is told that there is nothing.
    let window = StreamWindow { chunks: 1000, bytes: 1 << 20 };
    let mut bench = Bench::start(options(|o| o.stream_window = window)).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    for _ in 0..1000 {
        chunks.send(chunk(0)).unwrap();
    }
    life.reports.finished(id, Outcome::StreamEnded);
    bench.settled(|stats| stats.succeeded == 1).await;
    let mut came = 0;
    while let Some(next) = stream.next().await {
        assert_eq!(next.unwrap(), chunk(0));
        came += 1;
    }
    assert_eq!(came, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_lost_worker_had_not_begun_goes_on_elsewhere() {
    let mut bench = Bench::start(options(|o| o.prefetch = 1)).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, unused) = life.next_stream().await;
    life.reports.heard_out();
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    let (again, chunks) = successor.next_stream().await;
    assert_eq!((again, unused.send(chunk(9))), (id, Err(SendChunkError::ReaderGone)));
    chunks.send(chunk(0)).unwrap();
    successor.reports.finished(id, Outcome::StreamEnded);
    assert_eq!(stream.next().await.unwrap().unwrap(), chunk(0));
    assert!(stream.next().await.is_none());
    assert_eq!(stream.response().unwrap().worker, successor.life);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_says_so_as_its_first_item() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let _running = bench.call("running");
    life.next_request().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), "saturated");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s13_a_stream_says_at_its_end_whether_its_session_started_anew() {
    // Nobody was told: the pool took the loss for known, and the stream had no word for it.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("one", "s"), &mut life).await.is_ok());
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    for reset in [true, false] {
        let mut stream = bench.pool.execute_stream(in_session("count", "s")).unwrap();
        let (id, chunks) = successor.next_stream().await;
        drop(chunks);
        successor.reports.finished(id, Outcome::StreamEnded);
        assert!(stream.next().await.is_none());
        assert_eq!(stream.response().unwrap().session_reset, reset);
    }
}

#[tokio::test(start_paused = true)]
async fn s33_a_slow_reader_holds_up_its_own_stream_and_nothing_else() {
    let mut bench = Bench::start(options(|o| (o.capacity, o.timeout) = (2, Duration::from_hours(1)))).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    let (mut credit, mut sent) = (chunks.window().chunks, 0);
    assert_eq!(credit, 16);
    for taken in 0..250 {
        // The worker sends whatever it may.
        while credit > 0 && sent < 250 {
            chunks.send(chunk(sent)).unwrap();
            (credit, sent) = (credit - 1, sent + 1);
        }
        assert!(sent - taken <= 16, "{} chunks are under way", sent - taken);
        // Another request runs on the same worker, from its beginning to its end.
        assert!(bench.run(request("other"), &mut life).await.is_ok());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.next().await.unwrap().unwrap(), chunk(taken));
        tokio::time::sleep(Duration::from_millis(1)).await;
        while life.has_more() {
            match life.next().await {
                AdapterMessage::Credit { id: credited, chunks, .. } if credited == id => credit += chunks,
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }
    drop(chunks);
    life.reports.finished(id, Outcome::StreamEnded);
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s34_a_stream_may_be_dropped_after_any_chunk() {
    for (sent, taken) in (0..=4).flat_map(|sent| (0..=sent).map(move |taken| (sent, taken))) {
        let mut bench = Bench::start(options(|_| {})).await;
        let mut life = bench.life().await;
        let mut stream = bench.pool.execute_stream(request("count")).unwrap();
        let (id, chunks) = life.next_stream().await;
        for n in 0..sent {
            chunks.send(chunk(n)).unwrap();
        }
        for n in 0..taken {
            assert_eq!(stream.next().await.unwrap().unwrap(), chunk(n));
        }
        drop(stream);
        assert_eq!(life.next_cancel().await, id);
        assert_eq!(chunks.send(chunk(sent)), Err(SendChunkError::ReaderGone));
        // Its place is its worker's to give back.
        let next = bench.call("next");
        bench.settled(|stats| stats.waiting == 1 && stats.cancelled == 1).await;
        assert!(!life.has_more());
        drop(chunks);
        life.reports.finished(id, Outcome::StreamEnded);
        let id = life.next_request().await;
        life.answer(id, &done());
        assert!(next.await.unwrap().is_ok());
        let stats = bench.settled(|stats| stats.available == 1).await;
        assert_eq!((stats.restarts, stats.running), (0, 0), "{sent} sent, {taken} taken");
    }
}

#[tokio::test(start_paused = true)]
async fn s34_a_stream_may_be_dropped_before_it_begins_and_after_it_ended() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let busy = bench.call("busy");
    let busy_id = life.next_request().await;
    let waits = bench.pool.execute_stream(request("count")).unwrap();
    bench.settled(|stats| stats.waiting == 1).await;
    drop(waits);
    bench.settled(|stats| stats.waiting == 0 && stats.cancelled == 1).await;
    life.answer(busy_id, &done());
    assert!(busy.await.unwrap().is_ok());
    let unread = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    drop(chunks);
    life.reports.finished(id, Outcome::StreamEnded);
    bench.settled(|stats| stats.available == 1).await;
    drop(unread);
    assert!(bench.run(request("next"), &mut life).await.is_ok());
    assert!(!life.has_more(), "a stream that had ended was cancelled");
    assert_eq!(bench.stats().await.cancelled, 1);
}
