//! Where a command that answers with a stream puts its items.

use serde::Serialize;
use snakepit_core::{Encoding, Payload};

use crate::worker::command;
use crate::worker::crew::Crew;
use crate::worker::error::CommandResult;

/// The stream that a command answers with. Its reader gives credit for what it takes: a slow one slows the command.
pub struct Chunks<'a> {
    id: u64,
    crew: &'a Crew,
    encoding: Encoding,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(id: u64, crew: &'a Crew, encoding: Encoding) -> Self {
        Self { id, crew, encoding }
    }

    /// Sends an item, in the encoding of the arguments, once there is credit for it.
    ///
    /// # Errors
    /// `cancelled` once nobody reads: pass it on with `?`. An item that has no form in it, or is over the limit.
    pub fn send<T: Serialize + ?Sized>(&mut self, item: &T) -> CommandResult<()> {
        self.send_payload(&command::result(item, self.encoding)?)
    }

    /// Sends an item as it is, once there is credit for it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_payload(&mut self, item: &Payload) -> CommandResult<()> {
        self.crew.chunk(self.id, item)
    }
}

impl std::fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks").field("id", &self.id).finish_non_exhaustive()
    }
}
