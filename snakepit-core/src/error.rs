//! What can go wrong, one enum per operation that a caller can act on.

mod execute;
mod loss;
mod ready;
mod resize;
mod start;
mod worker;

pub use execute::ExecuteError;
pub use loss::{LossCause, PoolFailure, WorkerLoss};
pub use ready::{AwaitReadyError, EndSessionError};
pub use resize::ResizeError;
pub use start::{ConfigError, StartError, TriedDirectory};
pub use worker::{WorkerError, WorkerErrorKind};
