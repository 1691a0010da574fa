//! A subscription to events.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::id::PoolName;
use crate::telemetry::event::Event;
use crate::telemetry::sink::EventRecord;

type Record = Arc<EventRecord>;
type Waiting = Pin<Box<dyn Future<Output = (Result<Record, RecvError>, Receiver<Record>)> + Send>>;

/// The events of a pit, or of one of its pools, from the subscription on.
///
/// A subscriber never holds up the pit. One that is slow loses the oldest events and is told how many, as [`Lagged`].
/// After [`Event::ShutdownEnded`], or when the pit is gone, there is nothing more.
pub struct Events {
    /// `None` at the end.
    waiting: Option<Waiting>,
    pool: Option<PoolName>,
}

/// So many events came and went, of whichever pool, before the subscriber looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were missed")]
pub struct Lagged(pub u64);

impl Events {
    pub(super) fn new(receiver: Receiver<Record>, pool: Option<PoolName>) -> Self {
        Self { waiting: Some(wait(receiver)), pool }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// [`Lagged`]: some are lost; those that follow are not.
    ///
    /// # Cancellation
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<Arc<EventRecord>, Lagged>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Record, Lagged>>> {
        while let Some(waiting) = &mut self.waiting {
            let (item, receiver) = ready!(waiting.as_mut().poll(cx));
            self.waiting = match &item {
                Err(RecvError::Closed) => None,
                Ok(record) if matches!(record.event, Event::ShutdownEnded { .. }) => None,
                Ok(_) | Err(RecvError::Lagged(_)) => Some(wait(receiver)),
            };
            match item {
                Ok(record) if self.concerns(&record.event) => return Poll::Ready(Some(Ok(record))),
                Err(RecvError::Lagged(missed)) => return Poll::Ready(Some(Err(Lagged(missed)))),
                Ok(_) | Err(RecvError::Closed) => {}
            }
        }
        Poll::Ready(None)
    }

    fn concerns(&self, event: &Event) -> bool {
        self.pool.as_ref().is_none_or(|pool| event.pool() == Some(pool))
    }
}

fn wait(mut receiver: Receiver<Record>) -> Waiting {
    Box::pin(async move {
        let item = receiver.recv().await;
        (item, receiver)
    })
}

impl Stream for Events {
    type Item = Result<Arc<EventRecord>, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::EventSink;
    use std::time::Duration;

    fn ready(pool: &str) -> Event {
        Event::PoolReady { pool: PoolName::new(pool).unwrap() }
    }

    async fn next_name(events: &mut Events) -> Option<&'static str> {
        events.next().await.map(|record| record.unwrap().event.name())
    }

    #[tokio::test]
    async fn a_subscriber_of_one_pool_hears_of_no_other() {
        let sink = EventSink::default();
        let mut one = sink.subscribe(Some(PoolName::new("one").unwrap()));
        let mut all = sink.subscribe(None);
        sink.emit(ready("two"));
        sink.emit(ready("one"));
        let heard = one.next().await.unwrap().unwrap();
        assert_eq!(heard.event.pool().map(PoolName::as_str), Some("one"));
        assert_eq!(all.next().await.unwrap().unwrap().event.pool().map(PoolName::as_str), Some("two"));
        drop(sink);
        assert!(one.next().await.is_none());
    }

    #[tokio::test]
    async fn one_that_is_slow_is_told_how_much_it_missed_and_hears_the_rest() {
        let sink = EventSink::default();
        let mut events = sink.subscribe(None);
        // More than are kept: telling neither waits nor keeps them all.
        for _ in 0..1500 {
            sink.emit(ready("one"));
        }
        assert_eq!(events.next().await.unwrap().unwrap_err(), Lagged(1500 - 1024));
        for _ in 0..1024 {
            assert_eq!(next_name(&mut events).await, Some("snakepit.pool.ready"));
        }
        drop(sink);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn an_event_that_comes_while_nobody_waits_for_it_is_not_lost() {
        let sink = EventSink::default();
        let mut events = sink.subscribe(None);
        assert!(tokio::time::timeout(Duration::ZERO, events.next()).await.is_err());
        sink.emit(ready("one"));
        assert_eq!(next_name(&mut events).await, Some("snakepit.pool.ready"));
    }

    #[tokio::test]
    async fn nothing_follows_the_end_of_the_shutdown() {
        let sink = EventSink::default();
        let (mut all, mut one) = (sink.subscribe(None), sink.subscribe(Some(PoolName::new("one").unwrap())));
        sink.emit(Event::ShutdownEnded { took: Duration::ZERO, requests_finished: 0, requests_abandoned: 0 });
        assert_eq!(next_name(&mut all).await, Some("snakepit.shutdown.ended"));
        assert!(all.next().await.is_none() && one.next().await.is_none());
    }

    #[test]
    fn a_record_is_one_flat_object_with_its_name() {
        let record = EventRecord { at_unix_ms: 7, event: ready("one") };
        let json = serde_json::to_value(&record).unwrap();
        let expected = serde_json::json!({"at_unix_ms": 7, "event": "snakepit.pool.ready", "pool": "one"});
        assert_eq!(json, expected);
    }
}
