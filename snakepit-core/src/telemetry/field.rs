//! What an event may carry, and how each kind of it is logged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::Value;
use tracing::field::{debug, display};

use crate::error::{LossCause, WorkerLoss};
use crate::id::{PoolName, RequestId, SessionId, WorkerId, WorkerLife};
use crate::pool::{PoolStats, RecycleReason};
use crate::process::{ContainmentLevel, StopOutcome};

/// A field of an event.
pub(super) trait Field {
    /// The field as the log takes it: numbers as numbers, names unquoted.
    fn value(&self) -> impl Value + '_;

    /// The pool that it names.
    fn pool(&self) -> Option<&PoolName> {
        None
    }
}

macro_rules! fields {
    ($($type:ty: |$this:ident| $value:expr $(, pool $pool:expr)?;)+) => {$(
        impl Field for $type {
            fn value(&self) -> impl Value + '_ {
                let $this = self;
                $value
            }
            $(fn pool(&self) -> Option<&PoolName> {
                let $this = self;
                Some($pool)
            })?
        }
    )+};
}

fields! {
    bool: |this| *this;
    u16: |this| *this;
    u32: |this| *this;
    u64: |this| *this;
    usize: |this| *this;
    String: |this| this.as_str();
    Arc<str>: |this| display(this);
    Duration: |this| debug(this);
    PathBuf: |this| display(this.display());
    Option<String>: |this| this.as_deref().map(display);
    Option<i32>: |this| *this;
    RecycleReason: |this| debug(this);
    Option<RecycleReason>: |this| this.as_ref().map(debug);
    Vec<i32>: |this| debug(this);
    Vec<String>: |this| debug(this);
    Box<PoolStats>: |this| debug(this);
    PoolName: |this| display(this), pool this;
    WorkerId: |this| display(this), pool &this.pool;
    WorkerLife: |this| display(this), pool &this.worker.pool;
    Arc<WorkerLoss>: |this| display(this), pool &this.life.worker.pool;
    LossCause: |this| display(this);
    RequestId: |this| this.0;
    SessionId: |this| display(this);
    ContainmentLevel: |this| display(this);
    StopOutcome: |this| display(this);
}
