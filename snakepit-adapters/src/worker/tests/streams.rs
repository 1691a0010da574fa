//! Streams: in order, on credit, cancelled, and beside other requests.

use serde_json::json;
use snakepit_core::adapter::StreamWindow;

use super::host::{Host, within_limit};
use crate::port::frame::Kind;
use crate::worker::{CommandError, Worker};

const WIDE: StreamWindow = StreamWindow { chunks: 1000, bytes: 1 << 20 };

fn counting(threads: u16) -> Worker {
    Worker::new()
        .threads(threads)
        .stream("count", |_ctx, (n,): (u64,), out| {
            for i in 0..n {
                out.send(&i)?;
            }
            Ok(())
        })
        .stream("fail", |_ctx, (): (), out| {
            out.send("one")?;
            Err(CommandError::new("no"))
        })
        .command("add", |_ctx, (a, b): (i64, i64)| Ok(a + b))
}

#[test]
fn items_come_in_order_and_then_the_end() {
    within_limit(|| {
        let mut host = Host::ready(counting(1));
        host.stream(1, "count", &json!([100]), WIDE);
        (0..100).for_each(|i| host.expect_chunk(1, &json!(i)));
        host.expect(Kind::End, 1);
        host.stream(2, "fail", &json!(null), WIDE);
        host.expect_chunk(2, &json!("one"));
        host.expect_error(2, "error");
        host.stream(3, "add", &json!([1, 2]), WIDE);
        host.expect_error(3, "streaming_not_supported");
        host.execute(4, "count", &json!([1]));
        host.expect_error(4, "streaming_not_supported");
    });
}

#[test]
fn nothing_is_sent_without_credit_and_everything_else_goes_on() {
    within_limit(|| {
        for threads in [1, 2] {
            let mut host = Host::ready(counting(threads));
            host.stream(1, "count", &json!([6]), StreamWindow { chunks: 2, bytes: 1000 });
            host.expect_chunk(1, &json!(0));
            host.expect_chunk(1, &json!(1));
            host.send(Kind::Ping, 7, b"");
            host.expect(Kind::Pong, 7);
            host.credit(1, 1, 0);
            host.expect_chunk(1, &json!(2));
            if threads > 1 {
                host.execute(2, "add", &json!([1, 2]));
                host.expect_result(2, &json!(3));
            }
            // 1000 bytes were given and 3 times 9 are used: the next chunk overdraws what is left of them.
            host.credit(1, 100, 0);
            (3..6).for_each(|i| host.expect_chunk(1, &json!(i)));
            host.expect(Kind::End, 1);
        }
    });
}

#[test]
fn bytes_are_counted_as_the_wire_has_them() {
    within_limit(|| {
        let mut host = Host::ready(counting(1));
        // A body of 9 bytes each: the second overdraws the 10, and then none is left.
        host.stream(1, "count", &json!([3]), StreamWindow { chunks: 10, bytes: 10 });
        host.expect_chunk(1, &json!(0));
        host.expect_chunk(1, &json!(1));
        host.send(Kind::Ping, 7, b"");
        host.expect(Kind::Pong, 7);
        host.credit(1, 0, 8);
        host.send(Kind::Ping, 8, b"");
        host.expect(Kind::Pong, 8);
        host.credit(1, 0, 1);
        host.expect_chunk(1, &json!(2));
        host.expect(Kind::End, 1);
    });
}

#[test]
fn a_stream_that_waits_for_credit_hears_its_cancel() {
    within_limit(|| {
        for threads in [1, 2] {
            let mut host = Host::ready(counting(threads));
            host.stream(1, "count", &json!([6]), StreamWindow { chunks: 0, bytes: 0 });
            host.send(Kind::Cancel, 1, b"");
            host.expect_error(1, "cancelled");
        }
    });
}

#[test]
fn a_cancelled_stream_ends_although_it_could_go_on() {
    within_limit(|| {
        let mut host = Host::ready(counting(1));
        host.stream(1, "count", &json!([u32::MAX]), StreamWindow { chunks: 3, bytes: 1 << 20 });
        host.expect_chunk(1, &json!(0));
        host.send(Kind::Cancel, 1, b"");
        let last = loop {
            let frame = host.next().unwrap();
            if frame.kind != Kind::Chunk {
                break frame;
            }
        };
        assert_eq!(last.kind, Kind::Error);
        assert!(String::from_utf8_lossy(&last.body).contains("cancelled"));
    });
}
