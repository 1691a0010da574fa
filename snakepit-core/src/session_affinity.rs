//! Session affinity: which life of which worker a session belongs to, and for how long.
//!
//! The pool asks by message and is answered by message. The first request of a session is told to bind it; others of
//! the same session are held until it has, so that two first requests never end up on two workers.

mod actor;
#[cfg(feature = "testkit")]
mod alone;
mod binders;
mod kept;
mod message;
mod order;
mod recency;
mod spots;
mod table;

pub(crate) use actor::{SessionAffinity, SessionAffinityArgs};
#[cfg(feature = "testkit")]
pub use alone::TestSessions;
pub(crate) use message::SessionAffinityMessage;
pub(crate) use table::{EndedSession, Parting, Told};
