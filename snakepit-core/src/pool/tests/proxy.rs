//! The pool as an actor of somebody else's tree.

use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent, call, cast};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::error::ExecuteError;
use crate::id::SessionId;
use crate::pool::tests::bench::{Bench, done, options, request, value};
use crate::pool::{PoolProxy, PoolRef, PoolRequest, Response};

/// An actor of the embedding service, with a pool's proxy under it: it asks without waiting, and hears by message.
struct Service;

enum ServiceMessage {
    Ask,
    Answered(Result<Response, ExecuteError>),
}

#[cfg(feature = "cluster")]
impl ractor::Message for ServiceMessage {}

/// What the service hears.
#[derive(Debug)]
enum Heard {
    Answer(serde_json::Value),
    ProxyEnded,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Service {
    type Msg = ServiceMessage;
    type State = (ActorRef<PoolRequest>, UnboundedSender<Heard>);
    type Arguments = (PoolRef, UnboundedSender<Heard>);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (pool, heard): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (proxy, _) = Actor::spawn_linked(None, PoolProxy, pool, myself.get_cell()).await?;
        Ok((proxy, heard))
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: ServiceMessage,
        (proxy, heard): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ServiceMessage::Ask => {
                let ask = |reply| PoolRequest::Execute { request: request("a"), reply };
                proxy.call_and_forward(ask, &myself, ServiceMessage::Answered, None)?;
            }
            ServiceMessage::Answered(response) => heard.send(Heard::Answer(value(&response?)))?,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        (_, heard): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(..) = event {
            heard.send(Heard::ProxyEnded)?;
        }
        Ok(())
    }
}

async fn service(pool: &PoolRef) -> (ActorRef<ServiceMessage>, UnboundedReceiver<Heard>) {
    let (sender, heard) = unbounded_channel();
    let (service, _) = Actor::spawn(None, Service, (pool.clone(), sender)).await.unwrap();
    (service, heard)
}

async fn proxy(pool: &PoolRef) -> ActorRef<PoolRequest> {
    Actor::spawn(None, PoolProxy, pool.clone()).await.unwrap().0
}

fn execute(
    proxy: &ActorRef<PoolRequest>,
    command: &str,
    timeout: Option<Duration>,
) -> tokio::task::JoinHandle<CallResult<Result<Response, ExecuteError>>> {
    let (proxy, request) = (proxy.clone(), request(command));
    tokio::spawn(async move {
        proxy.call(|reply| PoolRequest::Execute { request, reply }, timeout).await.unwrap()
    })
}

#[tokio::test(start_paused = true)]
async fn a_service_asks_without_waiting_and_hears_by_message() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let (service, mut heard) = service(&bench.pool).await;
    cast!(service, ServiceMessage::Ask).unwrap();
    let id = life.next_request().await;
    life.answer(id, &json!(7));
    assert!(matches!(heard.recv().await, Some(Heard::Answer(answer)) if answer == json!(7)));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_outlives_the_pools_restart() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let proxy = proxy(&bench.pool).await;
    let lost = execute(&proxy, "lost", None);
    let id = life.next_request().await;
    bench.kill_pool().await;
    let CallResult::Success(Err(error)) = lost.await.unwrap() else { panic!("the pool's actor ended") };
    assert_eq!(error.code(), "pool_restarted");
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    let next = execute(&proxy, "next", None);
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(matches!(next.await.unwrap(), CallResult::Success(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_no_longer_waits_cancels_its_request() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let proxy = proxy(&bench.pool).await;
    let dropped = execute(&proxy, "dropped", None);
    let id = life.next_request().await;
    dropped.abort();
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    // The timeout of the call is the request's own, and is told as such.
    let late = execute(&proxy, "late", Some(Duration::from_secs(1)));
    let id = life.next_request().await;
    assert!(matches!(late.await.unwrap(), CallResult::Timeout));
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!(stats.cancelled + stats.timed_out_running, 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_proxy_is_told_and_cancels_what_it_was_asked() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let (service, mut heard) = service(&bench.pool).await;
    cast!(service, ServiceMessage::Ask).unwrap();
    let id = life.next_request().await;
    let children = service.get_cell().get_children();
    let [proxy] = &children[..] else { panic!("one proxy is linked: {children:?}") };
    proxy.stop(None);
    assert!(matches!(heard.recv().await, Some(Heard::ProxyEnded)));
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    bench.settled(|stats| (stats.available, stats.cancelled) == (1, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn requests_keep_their_order_also_those_that_nobody_waits_for() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let proxy = proxy(&bench.pool).await;
    for command in ["first", "second", "third"] {
        cast!(proxy, PoolRequest::ExecuteAndForget { request: request(command) }).unwrap();
    }
    for expected in ["first", "second", "third"] {
        let (id, command) = life.next_command().await;
        assert_eq!(command, expected);
        life.answer(id, &done());
    }
    bench.settled(|stats| stats.succeeded == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_answers_what_else_is_asked_of_a_pool() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let proxy = proxy(&bench.pool).await;
    let patience = Duration::from_secs(1);
    assert!(call!(proxy, |reply| PoolRequest::AwaitReady { patience, reply }).unwrap().is_ok());
    let session = SessionId::new("unknown").unwrap();
    let ended = call!(proxy, |reply| PoolRequest::EndSession { session, reply }).unwrap();
    assert_eq!(ended.unwrap_err().code(), "session_not_found");
    let stream = call!(proxy, |reply| PoolRequest::ExecuteStream { request: request("s"), reply }).unwrap();
    let id = life.next_request().await;
    drop(stream);
    assert_eq!(life.next_cancel().await, id);
    let stats = call!(proxy, |reply| PoolRequest::GetStats { reply }).unwrap().unwrap();
    assert_eq!((stats.streams, stats.cancelled), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_of_a_pool_that_shuts_down_says_so() {
    let bench = Bench::start(options(|_| {})).await;
    let proxy = proxy(&bench.pool).await;
    bench.pool.shared().stop_by(Instant::now());
    bench.pool.close(Instant::now()).await;
    let CallResult::Success(Err(error)) = execute(&proxy, "late", None).await.unwrap() else {
        panic!("the pool takes no more")
    };
    assert_eq!(error.code(), "shutting_down");
}
