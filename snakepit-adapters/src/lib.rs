//! Ways for snakepit to speak to a worker process: framed pipes (`port`), and the worker ends of the wire.
//!
//! This crate brings all of [`snakepit_core`] with it: one dependency is enough. Its features are passed on: see there.

pub mod port;
pub mod worker;

pub use port::PortAdapter;
pub use snakepit_core::*;
