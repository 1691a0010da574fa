//! What a pool is told: its adapter and its options, each with its default and the reason for it.

mod affinity;
mod check;
mod heartbeat;
mod options;
mod pool;
mod recycle;
mod restart;
pub mod size;
mod telemetry;

pub use affinity::Affinity;
pub use heartbeat::Heartbeat;
pub use options::{OnStuck, PoolOptions};
pub(crate) use pool::CheckedPoolConfig;
pub use pool::PoolConfig;
pub use recycle::RecycleOptions;
pub use restart::RestartOptions;
pub use telemetry::Telemetry;
