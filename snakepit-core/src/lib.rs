//! Pools of external worker processes under an OTP-style supervision tree of ractor actors.
//!
//! A [`Snakepit`] runs pools of OS processes, in Python or any other language. Requests go to free workers, sessions stay
//! with their worker, results may stream, crashes heal, and no process is left behind. How to speak to a worker is an
//! [`Adapter`](adapter::Adapter)'s matter; the crate `snakepit-adapters` has one for framed pipes.
//!
//! # Features
//! None is on by default.
//! - `tower`: a pool as a `tower::Service`, whose readiness reserves a place (`PoolRef::service`).
//! - `http`: [`ExecuteError`] as an HTTP status, with `Retry-After` (`ExecuteError::http_status`, `http_headers`).
//! - `grpc-status`: [`ExecuteError`] as a gRPC status code, without a gRPC library (`ExecuteError::grpc_code`).
//! - `toml`: a pit from a configuration file and the environment (`ConfigFile`).
//! - `msgpack`: payloads in MessagePack beside JSON ([`Payload`]'s `msgpack`; `decode` and `call` read them).
//! - `testkit`: processes without a pit, for test kits of adapters, and the table of sessions alone, for benches.
//! - `cluster`, `async-trait`: as on ractor; a program that enables either there must enable it here too.

#[cfg(not(unix))]
compile_error!(
    "snakepit needs a Unix: its workers live in process groups and are found again through signals and pipes"
);

pub mod adapter;
mod address;
mod config;
#[cfg(feature = "toml")]
mod config_file;
mod error;
mod id;
mod id_map;
mod payload;
mod pool;
mod process;
mod process_registry;
mod progress;
pub mod registry;
mod request;
mod session_affinity;
mod snakepit;
mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod timer;
mod worker;

pub use config::{
    Affinity, Heartbeat, OnStuck, PoolConfig, PoolOptions, RecycleOptions, RestartOptions, Telemetry, size,
};
#[cfg(feature = "toml")]
pub use config_file::ConfigFile;
#[cfg(feature = "grpc-status")]
pub use error::GrpcCode;
pub use error::{
    AwaitReadyError, ConfigError, ConfigPlace, DrainError, EndSessionError, ExecuteError, LossCause,
    PoolFailure, RecycleError, ResizeError, ResumeError, StartError, TriedDirectory, WorkerError,
    WorkerErrorKind, WorkerLoss,
};
pub use id::{Incarnation, InvalidName, PoolName, RequestId, SessionId, Slot, WorkerId, WorkerLife};
pub use payload::{Encoding, JSON, MSGPACK, OCTET_STREAM, Payload, PayloadError};
pub use pool::{
    Drained, HealthReason, HealthStatus, Permit, PoolHealth, PoolProxy, PoolProxyState, PoolRef, PoolRequest,
    PoolStats, RecycleReason, Recycled, RequestBuilder, Resized, Response, ResponseStream, RestartOutlook,
    RollOutcome, RolledWorker, RollingReport, StartCause, WorkerExplanation,
};
#[cfg(feature = "tower")]
pub use pool::{PoolService, ResponseFuture};
pub use process::{
    Containment, ContainmentLevel, ProcessExit, ProcessIdentity, ProcessSpec, Resource, ResourceLimit,
    SpawnStep, StopOutcome, TermTarget, UserIds, Wire, WirePipes,
};
pub use process_registry::RecoveryReport;
pub use progress::{Progress, ProgressReceiver, ProgressSender};
pub use request::{Deadline, Request};
pub use snakepit::{Health, PoolShutdown, ShutdownReport, Snakepit, SnakepitBuilder, Tree};
pub use telemetry::{Event, EventRecord, Events, Lagged};
pub use worker::{WorkerPhase, WorkerStatus};

/// The process between the host and each worker. See [`ContainmentLevel::Tree`].
pub mod shim {
    pub use crate::process::shim::init;
}
