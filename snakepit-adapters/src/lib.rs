//! Ways for snakepit to speak to a worker process: framed pipes (`port`), gRPC (`grpc`), and the worker ends of both.
//!
//! This crate brings all of [`snakepit_core`] with it: one dependency is enough. Its features are passed on: see there.
//! The gRPC wire needs the feature `grpc`.

mod program;
mod sdk;

#[cfg(feature = "toml")]
mod config_file;
#[cfg(feature = "testkit")]
pub mod contract;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod port;
pub mod worker;

#[cfg(feature = "toml")]
pub use config_file::{FromToml, config_file};
#[cfg(feature = "grpc")]
pub use grpc::GrpcAdapter;
pub use port::PortAdapter;
pub use snakepit_core::*;
