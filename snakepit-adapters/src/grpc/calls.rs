//! The adapter actor of a worker that does not offer Connect: a call for each request.

mod actor;
mod call;
mod message;
mod state;
mod turns;

pub(super) use actor::{CallsArguments, UnaryCalls};
