//! The connection against a scripted peer over real pipes, on both kinds of runtime.

mod host;
mod peer;

mod breaches;
mod ends;
mod flow;
mod outlet;
mod requests;
#[cfg(target_os = "linux")]
mod unread;
