//! Streams from real workers.

use serde_json::{Value, json};

use crate::system::subject::{Subject, everywhere};

#[test]
fn a_stream_keeps_its_order_through_a_small_window() {
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
fn a_function_that_is_no_stream_says_so() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let mut stream = subject.pit.execute_stream("add", &json!({"a": 1, "b": 2})).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), "streaming_not_supported");
        assert!(stream.next().await.is_none());
        subject.stop().await;
    });
}
