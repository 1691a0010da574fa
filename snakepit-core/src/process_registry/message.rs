//! What the registry's actor is told.

/// What the registry's actor is told. Requests do not pass it: they wait where no crash can lose them.
#[derive(Debug)]
pub(crate) enum ProcessRegistryMessage {
    /// The writer's thread has panicked.
    WriterEnded,
}

#[cfg(feature = "cluster")]
impl ractor::Message for ProcessRegistryMessage {}
