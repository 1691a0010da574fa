//! The worker's end in Rust: a program that answers requests of a pool.
//!
//! ```no_run
//! use snakepit_adapters::worker::Worker;
//!
//! Worker::new()
//!     .command("add", |_ctx, (a, b): (i64, i64)| Ok(a + b))
//!     .stream("count", |_ctx, (n,): (u64,), out| {
//!         for i in 0..n {
//!             out.send(&i)?;
//!         }
//!         Ok(())
//!     })
//!     .serve();
//! ```
//!
//! It needs no asynchronous runtime: handlers are plain functions, and run on the thread that reads the request, or on
//! one of several where [`Worker::threads`] asks for them. While a handler computes, another thread answers pings and
//! takes cancels and credit.

mod error;
mod session;

mod chunks;
mod context;

mod command;

#[cfg(feature = "grpc")]
mod grpc;
mod wire;

mod beginning;
mod output;
mod requests;
mod turns;

mod crew;
mod intake;

mod builder;
mod conformance;
mod process;
#[cfg(test)]
mod tests;

pub use builder::Worker;
pub use chunks::Chunks;
pub use context::Context;
pub use error::{CommandError, CommandResult};
