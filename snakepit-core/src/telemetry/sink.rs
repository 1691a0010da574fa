//! Where events are told: to the log, and to whoever has subscribed. Telling never waits.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::id::PoolName;
use crate::telemetry::event::Event;
use crate::telemetry::figures;
use crate::telemetry::subscription::Events;

/// How many events a subscriber may be behind before the oldest of them are lost to it.
const KEPT: usize = 1024;

/// An event, and when it was told.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EventRecord {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The one place of a pit where events are told. Cheap to clone; all clones are one place.
#[derive(Clone, Debug)]
pub(crate) struct EventSink(broadcast::Sender<Arc<EventRecord>>);

impl Default for EventSink {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl EventSink {
    /// Tells an event. Never waits, whoever listens.
    pub(crate) fn emit(&self, event: Event) {
        event.log();
        figures::count(&event);
        if self.0.receiver_count() == 0 {
            return;
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_unix_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        // The last subscriber may have left meanwhile.
        let _ = self.0.send(Arc::new(EventRecord { at_unix_ms, event }));
    }

    /// Everything that is told from now on, of one pool or of all.
    pub(crate) fn subscribe(&self, pool: Option<PoolName>) -> Events {
        Events::new(self.0.subscribe(), pool)
    }
}
