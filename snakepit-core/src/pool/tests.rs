//! The pool with its supervision tree and a scripted adapter: no process, no disk, paused time.

pub(super) mod bench;
mod budget;
mod calls;
mod deadlines;
mod declining;
mod draining;
pub(super) mod ear;
mod explain;
mod fatal_exits;
mod health;
mod heartbeat;
mod inbox;
mod life_cycle;
mod model;
mod panics;
mod prefetch;
mod proxy;
mod recycling;
mod requests;
mod reservations;
mod resizing;
mod restarts;
mod retries;
pub(crate) mod scenes;
#[cfg(feature = "tower")]
mod service;
mod sessions;
mod streams;
mod strict_sessions;
mod unread;
mod watchdog;
mod wear;
