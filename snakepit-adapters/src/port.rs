//! The `port` wire: frames on two pipes, named after Erlang's ports.

pub mod frame;

pub(crate) mod credit;
pub(crate) mod id_map;

mod connection;
mod sdk;

mod adapter;

pub use adapter::PortAdapter;
