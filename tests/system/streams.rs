//! Streams from real workers.

use serde_json::{Value, json};
use snakepit_adapters::PoolOptions;
use snakepit_adapters::adapter::StreamWindow;

use crate::system::subject::{HANG, Subject, everywhere, on_both_runtimes};

#[test]
fn s32_a_stream_keeps_its_order_and_comes_to_its_end() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let mut stream = subject.pit.execute_stream("count", &json!({"n": 1000})).unwrap();
        let mut expected = 0;
        while let Some(chunk) = stream.next().await {
            assert_eq!(chunk.unwrap().decode::<Value>().unwrap(), json!({"i": expected}));
            expected += 1;
        }
        assert_eq!(expected, 1000);
        subject.stop().await;
    });
}

#[test]
fn s32_a_chunk_arrives_before_the_next_is_made() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        // A worker that made all chunks before it sent the first would never come to an end.
        let mut endless = subject.pit.execute_stream("count", &json!({"n": 1_000_000_000_000_u64})).unwrap();
        for _ in 0..3 {
            assert!(endless.next().await.unwrap().is_ok());
        }
        drop(endless);
        subject.stop().await;
    });
}

#[test]
fn s34_a_stream_dropped_half_way_frees_its_worker() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let mut stream = subject.pit.execute_stream("count", &json!({"n": 1_000_000_000})).unwrap();
        for _ in 0..100 {
            assert!(stream.next().await.unwrap().is_ok());
        }
        drop(stream);
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        let stats = subject.pit.stats("default").await.unwrap();
        assert_eq!((stats.cancelled, stats.restarts), (1, 0));
        subject.stop().await;
    });
}

/// The worker had used its window up, most of it for what a chunk holds beside its payload; the reader, who counts payload, had not
/// taken half of it, and gave no credit.
#[test]
fn s32_a_stream_of_small_chunks_goes_on_in_a_window_of_few_bytes() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| {
            options.stream_window = StreamWindow { chunks: 1000, bytes: 100 };
        })
        .await;
        let mut stream = subject.pit.execute_stream("count", &json!({"n": 300})).unwrap();
        let mut chunks = 0;
        while let Some(chunk) = stream.next().await {
            assert!(chunk.is_ok(), "{chunks}: {chunk:?}");
            chunks += 1;
        }
        assert_eq!(chunks, 300);
        subject.stop().await;
    });
}

#[test]
fn s33_a_stream_that_nobody_reads_does_not_fill_the_host() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let unread = subject.pit.execute_stream("count", &json!({"n": 1_000_000_000})).unwrap();
        // The other worker goes on meanwhile.
        for n in 0..200 {
            let sum: i64 = subject.pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
            assert_eq!(sum, n + 1);
        }
        drop(unread);
        subject.stop().await;
    });
}

#[test]
fn s33_other_requests_of_a_worker_go_on_beside_a_stream_that_nobody_reads() {
    on_both_runtimes(|| async {
        let two_at_once = |o: &mut PoolOptions| (o.size, o.capacity) = (1, 2);
        let subject = Subject::start_stub(&["--threads", "2"], two_at_once).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let mut unread = subject.pit.execute_stream("count", &json!({"n": 250})).unwrap();
        subject.until_running(1).await;
        for n in 0..100 {
            let sum: i64 = subject.pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
            assert_eq!(sum, n + 1);
        }
        assert_eq!(subject.pit.stats("default").await.unwrap().running, 1, "it has waited for its reader");
        for n in 0..250 {
            let chunk = unread.next().await.unwrap().unwrap();
            assert_eq!(chunk.decode::<Value>().unwrap(), json!({"i": n}));
        }
        assert!(unread.next().await.is_none());
        subject.stop().await;
    });
}

#[test]
fn s35_a_function_that_is_no_stream_says_so() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let mut stream = subject.pit.execute_stream("add", &json!({"a": 1, "b": 2})).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), "streaming_not_supported");
        assert!(stream.next().await.is_none());
        subject.stop().await;
    });
}
