//! A ready worker as the pool has it, and what is said to its adapter.

use std::sync::Arc;

use ractor::ActorRef;

use crate::adapter::{AdapterMessage, AdapterRef, FlushPanicked, NotTaken};
use crate::error::LossCause;
use crate::pool::vitals::Vitals;
use crate::worker::WorkerMessage;

/// What the pool knows of a ready worker.
#[derive(Debug)]
pub(super) struct PoolWorker {
    pub(super) actor: ActorRef<WorkerMessage>,
    pub(super) adapter: AdapterRef,
    pub(super) vitals: Arc<Vitals>,
    /// Whether it says when a request begins.
    pub(super) tells_started: bool,
}

impl PoolWorker {
    /// Says something to the adapter that asks for no answer. A stranger's code does the rest: a panic there must not take
    /// the pool with it, and in the end of a pool that has panicked would end the program.
    pub(super) fn tell(&self, message: AdapterMessage) {
        match self.adapter.try_hand_over(message) {
            Ok(()) => self.has_written(self.adapter.try_flush_soon()),
            Err(NotTaken::OutletPanicked { what }) => self.adapter_failed(what),
            // It has ended, or its own message cannot be made: its worker's loss is heard of by itself, and what cannot be
            // said to it is lost.
            Err(NotTaken::Ended | NotTaken::Unsayable { .. }) => {}
        }
    }

    /// Hears whether the adapter's outlet wrote.
    pub(super) fn has_written(&self, written: Result<(), FlushPanicked>) {
        if let Err(FlushPanicked { what }) = written {
            self.adapter_failed(what);
        }
    }

    /// The adapter can be trusted no further: its worker is replaced, as where its actor fails.
    pub(super) fn adapter_failed(&self, what: String) {
        // A worker that has ended by itself needs no replacing.
        let _ = self.actor.cast(WorkerMessage::Replace { cause: LossCause::AdapterFailed { what } });
    }
}
