//! The decisions of every supervisor: `step(event, now) -> actions`. No actor, no task, no clock, no chance of its own.
//!
//! The actor around it (`actor`) tells it what happened and carries out what it answers. What OTP's supervisor does
//! inside one blocking call is here a [`Procedure`](lane::Procedure) that waits for its next event, so that nothing
//! ever blocks; a [`Lane`](lane::Lane) keeps everything else that concerns the same children in arrival order behind it.

pub(crate) mod child;
mod closing;
pub(crate) mod decision;
pub(crate) mod family;
#[cfg(test)]
mod invariants;
pub(crate) mod lane;
pub(crate) mod message;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
mod request;
mod restarting;
mod starting;
mod step;
mod stopping;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

pub(crate) use step::Core;
