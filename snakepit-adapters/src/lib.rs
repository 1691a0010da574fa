//! Ways for snakepit to speak to a worker process: framed pipes (`port`), and the worker ends of the wire.

pub mod port;
