//! What can go wrong, one enum per operation that a caller can act on.

mod config;
mod drain;
mod execute;
#[cfg(feature = "grpc-status")]
mod grpc_status;
#[cfg(feature = "http")]
mod http;
mod loss;
mod ready;
mod recycle;
mod resize;
mod start;
#[cfg(test)]
mod tests;
mod worker;

pub use config::{ConfigError, ConfigPlace};
pub use drain::{DrainError, ResumeError};
pub use execute::ExecuteError;
#[cfg(feature = "grpc-status")]
pub use grpc_status::GrpcCode;
pub(crate) use loss::humantime;
pub use loss::{LossCause, PoolFailure, WorkerLoss};
pub use ready::{AwaitReadyError, EndSessionError};
pub use recycle::RecycleError;
pub use resize::ResizeError;
pub use start::{StartError, TriedDirectory};
pub use worker::{WorkerError, WorkerErrorKind};
