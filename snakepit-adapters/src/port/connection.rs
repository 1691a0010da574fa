//! The host's end of one worker's wire: an outlet that whoever has messages writes through, the adapter actor that owns it,
//! and a task of its own that reads.

mod message;
mod outbox;
mod outstanding;
mod position;
mod wire;

mod outlet;

mod actor;
mod reader;

mod open;
#[cfg(test)]
mod tests;

pub(super) use open::open;
#[cfg(feature = "grpc")]
pub(crate) use open::{OpenWire, greeting, open_wire};
#[cfg(feature = "grpc")]
pub(crate) use wire::{FromWorker, ToWorker};
