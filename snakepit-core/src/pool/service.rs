//! The pool as a `tower::Service`: readiness is a reserved place. Behind the feature `tower`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use crate::error::ExecuteError;
use crate::pool::handle::PoolRef;
use crate::pool::message::Response;
use crate::pool::permit::Permit;
use crate::request::Request;

/// A pool as a [`tower::Service`](tower_service::Service) of [`Request`]s; made by [`PoolRef::service`].
///
/// - `poll_ready` reserves a place, as [`PoolRef::reserve`] does: ready at once while there are any, and pending while the
///   pool is saturated. Under tower's `LoadShed` that is a refusal, under `Buffer` or `ServiceExt::ready` a wait.
/// - `call` uses the place, and so is not refused as saturated. A call without readiness comes as any other request.
/// - A service that is dropped gives its place back. A clone has none, and reserves its own.
/// - `poll_ready` fails only when the pool shuts down, since tower discards a service whose readiness has failed. What may
///   pass, such as a pool that has failed and is tried again, or is drained, is told by the next `call`.
///
/// A request's deadline counts from `call`: the time that its caller waited for readiness is the caller's own.
///
/// # Cancellation
/// Dropping the future of a call cancels the request, as [`PoolRef::execute`] has it.
pub struct PoolService {
    pool: PoolRef,
    readiness: Readiness,
}

type Reserving = Pin<Box<dyn Future<Output = Result<Permit, ExecuteError>> + Send + Sync>>;

#[derive(Default)]
enum Readiness {
    #[default]
    Unasked,
    Asked(Reserving),
    Held(Permit),
    /// What the next call is told.
    Refused(ExecuteError),
}

/// The future of a call to a [`PoolService`].
#[must_use = "a call that is not awaited is never sent"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response, ExecuteError>> + Send>>);

impl PoolRef {
    /// The pool as a `tower::Service`, to stand under middleware. The feature `tower` brings it.
    pub fn service(&self) -> PoolService {
        PoolService { pool: self.clone(), readiness: Readiness::Unasked }
    }
}

impl Service<Request> for PoolService {
    type Response = Response;
    type Error = ExecuteError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExecuteError>> {
        if self.pool.shared().is_stopping() {
            self.readiness = Readiness::Unasked;
            return Poll::Ready(Err(self.pool.gone()));
        }
        loop {
            self.readiness = match &mut self.readiness {
                Readiness::Held(_) | Readiness::Refused(_) => return Poll::Ready(Ok(())),
                Readiness::Unasked => {
                    let pool = self.pool.clone();
                    Readiness::Asked(Box::pin(async move { pool.reserve().await }))
                }
                Readiness::Asked(reserving) => match ready!(reserving.as_mut().poll(cx)) {
                    Ok(permit) => Readiness::Held(permit),
                    Err(refusal) => Readiness::Refused(refusal),
                },
            };
            if let Readiness::Refused(ExecuteError::ShuttingDown { .. }) = self.readiness {
                self.readiness = Readiness::Unasked;
                return Poll::Ready(Err(self.pool.gone()));
            }
        }
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let (pool, readiness) = (self.pool.clone(), std::mem::take(&mut self.readiness));
        ResponseFuture(Box::pin(async move {
            match readiness {
                Readiness::Held(permit) => permit.execute(request).await,
                Readiness::Refused(refusal) => {
                    pool.refused(&request.command, &refusal);
                    Err(refusal)
                }
                Readiness::Unasked | Readiness::Asked(_) => pool.execute(request).await,
            }
        }))
    }
}

impl Clone for PoolService {
    /// Another service of the same pool, with no place of its own yet.
    fn clone(&self) -> Self {
        self.pool.service()
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, ExecuteError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for PoolService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readiness = match self.readiness {
            Readiness::Unasked => "unasked",
            Readiness::Asked(_) => "asked",
            Readiness::Held(_) => "held",
            Readiness::Refused(_) => "refused",
        };
        f.debug_struct("PoolService").field("pool", self.pool.name()).field("readiness", &readiness).finish()
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
