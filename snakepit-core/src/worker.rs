//! A worker: one life of one slot. It owns the OS process, its boot, its heartbeat and its death, and stays out of the
//! way of requests.

mod actor;
mod boot;
mod farewell;
mod heartbeat;
mod life;
mod line_budget;
mod message;
mod output;
mod phase;
mod reports;
mod status;
mod watch;

pub(crate) use actor::{Worker, WorkerArgs, WorkerExit};
#[cfg(test)]
pub(crate) use farewell::scenes;
pub(crate) use message::WorkerMessage;
pub use status::{WorkerPhase, WorkerStatus};
