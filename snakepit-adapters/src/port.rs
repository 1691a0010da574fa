//! The `port` wire: frames on two pipes, named after Erlang's ports.

pub mod frame;

pub(crate) mod credit;
mod pipe_end;
mod pipe_size;

pub(crate) mod connection;

mod adapter;
#[cfg(feature = "toml")]
mod options;

pub use adapter::PortAdapter;
#[cfg(feature = "toml")]
pub(crate) use options::PortOptions;
