//! The pool: keeps `size` slots, admits requests, hands them to free workers, answers every caller exactly once.
//!
//! Last up, first down. It restarts nothing and holds no process id. Reading order:

mod actor;
mod admission;
mod admitting;
mod books;
mod boots;
mod builder;
mod call_spans;
mod calls;
mod cancel_on_drop;
mod closing;
mod condition;
mod deadlines;
mod draining;
mod ended_sessions;
mod endings;
mod explanation;
mod handle;
mod health;
mod in_flight;
mod inbox;
mod intake;
mod listing;
mod lives;
mod losses;
mod message;
mod permit;
mod placement;
mod pool_worker;
mod proxy;
mod recycling;
mod replacing;
mod requests;
mod reservations;
mod resizing;
mod restless;
mod retiring;
mod retry;
mod rolling_restart;
mod roster;
mod saturation;
#[cfg(feature = "tower")]
mod service;
mod sessions;
mod shared;
mod slot_plan;
mod slots;
mod statistics;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod vitals;
mod waiting_line;
mod watchdog;
mod wear;

pub(crate) use actor::{Pool, PoolArgs};
pub use builder::RequestBuilder;
pub use draining::Drained;
pub use explanation::{RestartOutlook, StartCause, WorkerExplanation};
pub use handle::PoolRef;
pub use health::{HealthReason, HealthStatus, PoolHealth};
#[cfg(test)]
pub(crate) use message::PoolMessage;
pub(crate) use message::{CloseReport, Life, PoolReporter, SessionReport, SlotReport, WorkerReport};
pub use message::{Resized, Response};
pub use permit::Permit;
pub use proxy::{PoolProxy, PoolProxyState, PoolRequest};
pub use recycling::{RecycleReason, Recycled};
pub use rolling_restart::{RollOutcome, RolledWorker, RollingReport};
#[cfg(feature = "tower")]
pub use service::{PoolService, ResponseFuture};
pub(crate) use shared::{LastLoss, PoolShared};
pub use statistics::PoolStats;
pub use stream::ResponseStream;
pub(crate) use vitals::Vitals;
