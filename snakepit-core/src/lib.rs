//! Pools of external worker processes under an OTP-style supervision tree of ractor actors.

pub mod adapter;
mod error;
mod id;
mod payload;
mod process;
mod request;

pub use error::{
    AwaitReadyError, ConfigError, EndSessionError, ExecuteError, LossCause, PoolFailure, StartError, WorkerError,
    WorkerErrorKind, WorkerLoss,
};
pub use id::{Incarnation, InvalidName, PoolName, RequestId, SessionId, Slot, WorkerId, WorkerLife};
pub use payload::{JSON, OCTET_STREAM, Payload, PayloadError};
pub use process::{ProcessExit, ProcessSpec, Wire, WirePipes};
pub use request::{Deadline, Request};
