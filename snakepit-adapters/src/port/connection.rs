//! The host's end of one worker's wire: an adapter actor that writes, and a task of its own that reads.

mod message;
mod outbox;
mod outstanding;

mod actor;
mod reader;

mod open;
#[cfg(test)]
mod tests;

pub(super) use open::open;
