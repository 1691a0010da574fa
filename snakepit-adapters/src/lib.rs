//! Ways for snakepit to speak to a worker process: framed pipes (`port`), and the worker ends of the wire.
//!
//! This crate brings all of [`snakepit_core`] with it: one dependency is enough. Its features are passed on: see there.

#[cfg(feature = "toml")]
mod config_file;
pub mod port;
pub mod worker;

#[cfg(feature = "toml")]
pub use config_file::{FromToml, config_file};
pub use port::PortAdapter;
pub use snakepit_core::*;
