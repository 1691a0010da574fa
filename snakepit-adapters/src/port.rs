//! The `port` wire: frames on two pipes, named after Erlang's ports.

pub mod frame;

mod connection;
mod sdk;

mod adapter;

pub use adapter::PortAdapter;
