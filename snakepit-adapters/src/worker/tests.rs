//! The worker's end against a scripted host over real pipes, inside this process.

mod host;

mod leaving;
mod requests;
mod streams;
