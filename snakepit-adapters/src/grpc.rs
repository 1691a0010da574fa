//! The `grpc` wire: the same requests over gRPC, on a Unix socket that nobody else can reach.

#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "made by tonic-prost-build from proto/snakepit/worker/v1/worker.proto, which says what it means"
)]
#[rustfmt::skip]
pub mod generated;

pub(crate) mod frames;

mod address;
mod token;

mod calls;
pub(crate) mod convert;
pub(crate) mod status;

mod adapter;
mod open;

pub(crate) use address::{ADDRESS, WorkerAddress};
pub(crate) use open::{CONNECTION_WINDOW, KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT, STREAM_WINDOW};
pub(crate) use token::{Guard, TOKEN, Token};

pub use adapter::GrpcAdapter;
pub use status::{error_status, error_status_for};
