//! The workers of both SDKs, called by whoever has the token, as any gRPC client would.

use std::time::Duration;

use serde_json::{Value, json};
use snakepit_adapters::ExecuteError;
use snakepit_adapters::grpc::generated::worker_client::WorkerClient;
use snakepit_adapters::grpc::generated::{
    CancelRequest, DrainRequest, EndSessionRequest, Error, ExecuteRequest, Frames, Payload,
    Status as RichStatus,
};
use snakepit_tests::lacking::{python_with_extras, skipped};
use snakepit_tests::oracle::Mark;
use tokio::task::JoinSet;
use tonic::codegen::tokio_stream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::system::grpc::{Told, health, told, with};
use crate::system::subject::{HANG, Kind, Subject, grpc_adapter, on_both_runtimes};

/// A worker that a pool asks by calls, so that others may, too.
struct Called {
    subject: Subject,
    told: Told,
    channel: Channel,
    client: WorkerClient<Channel>,
}

impl Called {
    async fn start(kind: Kind) -> Self {
        let mark = Mark::new();
        let adapter = grpc_adapter(kind, &mark).by_calls();
        let subject = Subject::start_adapter(adapter, mark, |options| options.size = 1).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let told = told(subject.pids().await[0]);
        let channel = told.channel().await;
        let client = WorkerClient::new(channel.clone()).max_decoding_message_size(1 << 30);
        Self { subject, told, channel, client }
    }

    fn admitted<M>(&self, message: M) -> Request<M> {
        with(message, Some(&self.told.token))
    }

    async fn call(&self, message: ExecuteRequest) -> Result<Value, Status> {
        let answer = self.client.clone().execute(self.admitted(message)).await?;
        Ok(serde_json::from_slice(&answer.into_inner().payload.unwrap().data).unwrap())
    }

    async fn sum(&self) -> Value {
        self.call(asking("add", &json!({"a": 1, "b": 2}))).await.unwrap()
    }
}

fn asking(command: &str, args: &Value) -> ExecuteRequest {
    let data = serde_json::to_vec(args).unwrap().into();
    let payload = Some(Payload { data, ..Payload::default() });
    ExecuteRequest { command: command.into(), payload, ..ExecuteRequest::default() }
}

fn over_both<F: Future<Output = ()>>(test: impl Fn(Kind) -> F) {
    on_both_runtimes(|| test(Kind::GrpcRust));
    if python_with_extras().is_some() {
        on_both_runtimes(|| test(Kind::GrpcPython));
    } else {
        skipped("calls to workers in Python", "a virtual environment with grpcio, which .ci/run makes");
    }
}

#[test]
fn whoever_has_the_token_calls_a_worker_and_nobody_else() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        assert_eq!(called.sum().await, json!(3));
        let sum: i64 = called.subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3, "its own pool calls it beside");
        for token in [None, Some("guessed")] {
            let asked = with(asking("add", &json!({"a": 1, "b": 2})), token);
            let refused = called.client.clone().execute(asked).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            let asked = with(asking("count", &json!({"n": 1})), token);
            let refused = called.client.clone().execute_stream(asked).await.map(drop);
            assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
        }
        let frames = called.admitted(tokio_stream::pending::<Frames>());
        let refused = called.client.clone().connect(frames).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "it is asked by calls already");
        called.subject.stop().await;
    });
}

#[test]
fn a_token_that_is_no_text_or_not_alone_is_no_token() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let bearer = |token: &[u8]| MetadataValue::try_from([b"Bearer ", token].concat()).unwrap();
        let (right, wrong) = (bearer(called.told.token.as_bytes()), bearer(b"guessed"));
        let no_ascii = bearer("gr\u{f6}\u{df}e".as_bytes());
        let no_text = bearer(b"\xff\xfe");
        for values in
            [&[&no_ascii][..], &[&no_text], &[&right, &wrong], &[&wrong, &right], &[&right, &no_text]]
        {
            let mut asked = Request::new(asking("add", &json!({"a": 1, "b": 2})));
            for value in values {
                asked.metadata_mut().append("authorization", (*value).clone());
            }
            let refused = called.client.clone().execute(asked).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{values:?}: {refused:?}");
        }
        let mut asked = Request::new(asking("add", &json!({"a": 1, "b": 2})));
        let bytes = MetadataValue::from_bytes(right.as_bytes());
        asked.metadata_mut().insert_bin("authorization-bin", bytes);
        let refused = called.client.clone().execute(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "as bytes: {refused:?}");
        assert_eq!(called.sum().await, json!(3));
        called.subject.stop().await;
    });
}

#[test]
fn a_worker_that_has_a_host_is_called_by_nobody_else() {
    over_both(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let told = told(subject.pids().await[0]);
        let asked = with(ExecuteRequest { command: "pid".into(), ..Default::default() }, Some(&told.token));
        let refused = WorkerClient::new(told.channel().await).execute(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        subject.stop().await;
    });
}

#[test]
fn an_error_carries_what_the_worker_knows_of_it() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let failed = called.call(asking("fail", &json!({"message": "out of ink"}))).await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::Unknown, "out of ink"));
        let rich: RichStatus = prost::Message::decode(failed.details()).unwrap();
        let error: Error = prost::Message::decode(rich.details[0].value.clone()).unwrap();
        assert_eq!((error.kind.as_str(), error.message.as_str()), ("error", "out of ink"));
        assert!(!error.r#type.is_empty());
        let table = [
            (asking("nothing", &json!({})), Code::Unimplemented),
            (asking("count", &json!({"n": 1})), Code::Unimplemented),
            (asking("add", &json!({"a": 1})), Code::InvalidArgument),
        ];
        for (asking, code) in table {
            assert_eq!(called.call(asking.clone()).await.unwrap_err().code(), code, "{asking:?}");
        }
        assert_eq!(called.sum().await, json!(3), "an error never costs the worker");
        called.subject.stop().await;
    });
}

#[test]
fn an_error_may_have_much_to_say() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        for size in [5_000, 50_000, 500_000] {
            let args = json!({"message": "ü".repeat(size)});
            let failed = called.subject.pit.call::<Value, _>("fail", &args).await.unwrap_err();
            let ExecuteError::Worker { error } = failed else { panic!("{size}: {failed:?}") };
            assert!(error.message.starts_with("üüü"), "{size}: {error:?}");
            // An SDK may shorten what a command says; on its way nothing is lost.
            assert!(kind == Kind::GrpcPython || error.message.len() == 2 * size, "{}", error.message.len());
            assert_eq!(called.sum().await, json!(3), "{size}: an error never costs the worker");
        }
        called.subject.stop().await;
    });
}

#[test]
fn a_client_that_does_not_say_that_it_takes_more_is_told_what_any_client_takes() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        for size in [100, 2_000, 500_000] {
            let failed =
                called.call(asking("fail", &json!({"message": "ü".repeat(size)}))).await.unwrap_err();
            assert_eq!(failed.code(), Code::Unknown, "{size}: {failed:?}");
            assert_eq!(failed.message().contains("left out"), size > 100, "{size}: {failed:?}");
            let counted = failed.clone().into_http::<()>().into_parts().0.headers;
            let counted: usize =
                counted.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            assert!(counted <= 8_192, "{size}: {counted}");
            let rich: RichStatus = prost::Message::decode(failed.details()).unwrap();
            let error: Error = prost::Message::decode(rich.details[0].value.clone()).unwrap();
            assert_eq!((error.kind.as_str(), error.message.as_str()), ("error", failed.message()));
        }
        called.subject.stop().await;
    });
}

#[test]
fn a_session_that_was_ended_is_forgotten_before_the_next_request_of_it() {
    // EndSession, a call of its own, was overtaken by the request behind it.
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let pit = &called.subject.pit;
        for n in 0..30 {
            let kept = json!({"key": "n", "value": n});
            let kept = pit.execute_in_session("s", "remember", &kept).await.unwrap();
            assert_eq!(kept.payload.decode::<Value>().unwrap(), json!({"n": n}));
            pit.end_session("s").await.unwrap();
            let after = pit.execute_in_session("s", "recall", &json!({})).await.unwrap();
            assert_eq!(after.payload.decode::<Value>().unwrap(), json!({}));
            pit.end_session("s").await.unwrap();
        }
        called.subject.stop().await;
    });
}

#[test]
fn what_a_frame_could_not_say_is_refused_and_costs_nothing() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let asked = asking("add", &json!({"a": 1, "b": 2}));
        let long = ExecuteRequest { command: "x".repeat(70_000), ..asked.clone() };
        assert_eq!(called.call(long).await.unwrap_err().code(), Code::InvalidArgument);
        let data = vec![b' '; (64 << 20) + 1].into();
        let large = ExecuteRequest { payload: Some(Payload { data, ..Default::default() }), ..asked };
        let refused = called.call(large).await.unwrap_err();
        assert!(
            matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted),
            "{refused:?}, as the library says it"
        );
        assert_eq!(called.sum().await, json!(3));
        called.subject.stop().await;
    });
}

#[test]
fn a_stream_comes_in_order_and_stops_when_nobody_reads_it() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let asked = called.admitted(asking("count", &json!({"n": 1000})));
        let mut stream = called.client.clone().execute_stream(asked).await.unwrap().into_inner();
        for i in 0..1000 {
            let chunk = stream.message().await.unwrap().unwrap().payload.unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&chunk.data).unwrap(), json!({"i": i}));
        }
        assert!(stream.message().await.unwrap().is_none());
        // It holds the only place until it is cancelled.
        let asked = called.admitted(asking("count", &json!({"n": 1_000_000_000_u64})));
        let mut endless = called.client.clone().execute_stream(asked).await.unwrap().into_inner();
        assert!(endless.message().await.unwrap().is_some());
        drop(endless);
        assert_eq!(called.sum().await, json!(3));
        called.subject.stop().await;
    });
}

#[test]
fn a_call_that_is_dropped_or_out_of_time_or_cancelled_stops_its_handler() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let an_hour = || asking("sleep", &json!({"ms": 3_600_000}));

        let dropped = tokio::time::timeout(Duration::from_millis(100), called.call(an_hour())).await;
        assert!(dropped.is_err(), "{dropped:?}");
        assert_eq!(called.sum().await, json!(3), "the only place is free again");

        let mut timed = called.admitted(an_hour());
        timed.set_timeout(Duration::from_millis(100));
        let late = called.client.clone().execute(timed).await.unwrap_err();
        assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
        assert_eq!(called.sum().await, json!(3));

        let numbered = called.call(ExecuteRequest { id: 77, ..an_hour() });
        let cancel = async {
            // Until the call has come there is nothing to cancel, which is answered at once.
            let mut client = called.client.clone();
            loop {
                client.cancel(called.admitted(CancelRequest { id: 77 })).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            // Some handlers answer early when they are told, others fail.
            ended = numbered => {
                let code = ended.err().map(|status| status.code());
                assert!(matches!(code, None | Some(Code::Cancelled)), "{code:?}");
            }
            () = cancel => {}
        }
        assert_eq!(called.sum().await, json!(3));
        called.subject.stop().await;
    });
}

#[test]
fn who_has_asked_for_as_much_as_there_is_room_for_can_still_say_something() {
    over_both(|kind| async move {
        const AT_ONCE: u64 = 1024;
        let called = Called::start(kind).await;
        let mut calls = JoinSet::new();
        let asked = |id| ExecuteRequest { id, ..asking("sleep", &json!({"ms": 3_600_000})) };
        for id in 1..=AT_ONCE {
            let (mut client, asked) = (called.client.clone(), called.admitted(asked(id)));
            calls.spawn(async move { (id, client.execute(asked).await.map(drop)) });
        }
        if kind == Kind::GrpcPython {
            // They have no order: one of them all is refused, and that there are too many is known then.
            calls.spawn({
                let (mut client, asked) = (called.client.clone(), called.admitted(asked(AT_ONCE + 1)));
                async move { (AT_ONCE + 1, client.execute(asked).await.map(drop)) }
            });
            let refused = calls.join_next().await.unwrap().unwrap().1.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        }
        let mut client = called.client.clone();
        let end = called.admitted(EndSessionRequest { session: "s".into() });
        client.end_session(end).await.unwrap();
        assert_eq!(health(called.channel.clone(), Some(&called.told.token)).await, Ok(1));
        // All at once, and until all calls have ended: a Cancel may come before what it is about.
        while !calls.is_empty() {
            let mut cancels = JoinSet::new();
            for id in 1..=AT_ONCE + 1 {
                let (mut client, cancel) = (called.client.clone(), called.admitted(CancelRequest { id }));
                cancels.spawn(async move { client.cancel(cancel).await.map(drop) });
            }
            while let Some(answered) = cancels.join_next().await {
                let code = answered.unwrap().err().map(|status| status.code());
                assert!(matches!(code, None | Some(Code::Unavailable)), "{code:?}");
            }
            while let Some(ended) = calls.try_join_next() {
                // Some handlers answer early when they are told, others fail.
                let (id, ended) = ended.unwrap();
                let code = ended.err().map(|status| status.code());
                assert!(matches!(code, None | Some(Code::Cancelled)), "{id}: {code:?}");
            }
        }
        assert_eq!(called.sum().await, json!(3));
        client.drain(called.admitted(DrainRequest {})).await.unwrap();
        called.subject.stop().await;
    });
}

#[test]
fn a_session_lasts_until_it_is_ended() {
    over_both(|kind| async move {
        let called = Called::start(kind).await;
        let in_session =
            |command: &str, args: Value| ExecuteRequest { session: "s".into(), ..asking(command, &args) };
        called.call(in_session("remember", json!({"key": "a", "value": 1}))).await.unwrap();
        assert_eq!(called.call(in_session("recall", json!({}))).await.unwrap(), json!({"a": 1}));
        let end = called.admitted(EndSessionRequest { session: "s".into() });
        called.client.clone().end_session(end).await.unwrap();
        assert_eq!(called.call(in_session("recall", json!({}))).await.unwrap(), json!({}));
        called.subject.stop().await;
    });
}
