//! A pool as an actor of the embedding service's own tree: cast to, called, linked, supervised.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use crate::error::{AwaitReadyError, EndSessionError, ExecuteError};
use crate::id::SessionId;
use crate::pool::handle::PoolRef;
use crate::pool::message::Response;
use crate::pool::statistics::PoolStats;
use crate::pool::stream::ResponseStream;
use crate::request::Request;

/// How often it is looked whether a caller still waits: a reply port says that it is closed, but not when.
const CALLER_LOOK: Duration = Duration::from_millis(100);

/// What is asked of a pool through a [`PoolProxy`].
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolRequest {
    /// As [`PoolRef::execute`]. A call that has a timeout ends its request with it, where that is sooner; one that is
    /// dropped cancels its request within 100 ms.
    Execute {
        /// What to run.
        request: Request,
        /// Where the answer goes.
        reply: RpcReplyPort<Result<Response, ExecuteError>>,
    },
    /// As [`PoolRef::execute_stream`].
    ExecuteStream {
        /// What to run.
        request: Request,
        /// Where the stream goes, at once.
        reply: RpcReplyPort<Result<ResponseStream, ExecuteError>>,
    },
    /// Runs a request whose answer nobody wants. A failure is logged.
    ExecuteAndForget {
        /// What to run.
        request: Request,
    },
    /// As [`PoolRef::await_ready`].
    AwaitReady {
        /// How long to wait.
        patience: Duration,
        /// Where the answer goes.
        reply: RpcReplyPort<Result<(), AwaitReadyError>>,
    },
    /// As [`PoolRef::stats`].
    GetStats {
        /// Where the answer goes.
        reply: RpcReplyPort<Result<PoolStats, ExecuteError>>,
    },
    /// As [`PoolRef::end_session`].
    EndSession {
        /// Which session.
        session: SessionId,
        /// Where the answer goes.
        reply: RpcReplyPort<Result<(), EndSessionError>>,
    },
}

#[cfg(feature = "cluster")]
impl ractor::Message for PoolRequest {}

/// An actor that speaks for a pool. A service starts it under an actor of its own, or as a child of a supervisor, and
/// its [`ActorRef`] is that of any actor: cast to it, call it, link it, monitor it, put it into a process group.
///
/// It holds nothing but the [`PoolRef`] and what was asked through it: restarts of the pool's actor leave it as it is, and
/// its own end cancels what it was asked. Requests go to the pool in the order in which they came.
///
/// ```
/// use ractor::{Actor, ActorCell, ActorRef, RpcReplyPort, SpawnErr};
/// use snakepit_core::{PoolProxy, PoolRef, PoolRequest};
///
/// async fn spawn(pool: PoolRef, supervisor: ActorCell) -> Result<ActorRef<PoolRequest>, SpawnErr> {
///     let (proxy, _) = Actor::spawn_linked(Some("models".to_owned()), PoolProxy, pool, supervisor).await?;
///     Ok(proxy)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolProxy;

/// A proxy at work.
#[derive(Debug)]
pub struct PoolProxyState {
    pool: PoolRef,
    /// What was asked and is not answered. Dropped with the proxy, which cancels it.
    asked: JoinSet<()>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for PoolProxy {
    type Msg = PoolRequest;
    type State = PoolProxyState;
    type Arguments = PoolRef;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        pool: PoolRef,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(PoolProxyState { pool, asked: JoinSet::new() })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: PoolRequest,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        while state.asked.try_join_next().is_some() {}
        match message {
            PoolRequest::Execute { request, reply } => state.execute(request, reply).await,
            PoolRequest::ExecuteStream { request, reply } => {
                answer(reply, state.pool.execute_stream(request));
            }
            PoolRequest::ExecuteAndForget { request } => state.execute_and_forget(request).await,
            PoolRequest::AwaitReady { patience, reply } => {
                state.ask(reply, |pool| async move { pool.await_ready(patience).await });
            }
            PoolRequest::GetStats { reply } => state.ask(reply, |pool| async move { pool.stats().await }),
            PoolRequest::EndSession { session, reply } => {
                state.ask(reply, |pool| async move { pool.end_session(&session).await });
            }
        }
        Ok(())
    }
}

impl PoolProxyState {
    async fn execute(&mut self, mut request: Request, reply: RpcReplyPort<Result<Response, ExecuteError>>) {
        let own = request.timeout.unwrap_or(self.pool.shared().options.timeout);
        request.timeout = Some(reply.get_timeout().map_or(own, |caller| caller.min(own)));
        match self.send(request).await {
            Sent::Answered(response) => answer(reply, response),
            Sent::Running(running) => {
                self.asked.spawn(while_awaited(reply, running));
            }
        }
    }

    async fn execute_and_forget(&mut self, request: Request) {
        let (pool, command) = (self.pool.name().clone(), request.command.clone());
        let log = move |response: Result<Response, ExecuteError>| {
            if let Err(error) = response {
                warn!(%pool, %command, %error, code = error.code(), "a request failed that nobody waits for");
            }
        };
        match self.send(request).await {
            Sent::Answered(response) => log(response),
            Sent::Running(running) => {
                self.asked.spawn(async move { log(running.await) });
            }
        }
    }

    /// Hands a request to the pool here, so that requests keep their order, and not in the task that awaits its answer.
    async fn send(&self, request: Request) -> Sent {
        let pool = self.pool.clone();
        let mut running: Running = Box::pin(async move { pool.execute(request).await });
        match std::future::poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await {
            Poll::Ready(response) => Sent::Answered(response),
            Poll::Pending => Sent::Running(running),
        }
    }

    fn ask<R, F>(&mut self, reply: RpcReplyPort<R>, question: impl FnOnce(PoolRef) -> F)
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        self.asked.spawn(while_awaited(reply, question(self.pool.clone())));
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Response, ExecuteError>> + Send>>;

/// A request that the pool has been given.
enum Sent {
    Answered(Result<Response, ExecuteError>),
    Running(Running),
}

/// Awaits an answer for a caller, as long as that waits for it. Dropping what it awaits cancels a request.
async fn while_awaited<R>(reply: RpcReplyPort<R>, answered: impl Future<Output = R>) {
    let gone = async {
        while !reply.is_closed() {
            sleep(CALLER_LOOK).await;
        }
    };
    let result = tokio::select! {
        biased;
        result = answered => result,
        () = gone => return,
    };
    answer(reply, result);
}

fn answer<R>(reply: RpcReplyPort<R>, result: R) {
    // A caller that is gone by now is nobody's failure.
    let _ = reply.send(result);
}
