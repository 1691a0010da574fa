//! The `port` wire: frames on two pipes, named after Erlang's ports.

pub mod frame;
