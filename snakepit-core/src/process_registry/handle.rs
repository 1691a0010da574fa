//! The registry as others hold it: a stable way to it over restarts of its actor.

use std::time::Duration;

use ractor::rpc::CallResult;

use crate::address::Address;
use crate::id::WorkerLife;
use crate::process::{Marker, ProcessIdentity, RunId};
use crate::process_registry::message::ProcessRegistryMessage;

/// How long a stopping worker waits for its record to be taken out: many commits, and less than its farewell.
const PATIENCE: Duration = Duration::from_millis(500);

/// A way to the registry.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRegistryRef {
    run: RunId,
    address: Address<ProcessRegistryMessage>,
}

/// Why the registry did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("the registry could not write: {message}")]
    NotWritten { message: String },
    #[error("the registry is restarting")]
    Away,
}

impl ProcessRegistryRef {
    pub(crate) fn new(run: RunId) -> Self {
        Self { run, address: Address::default() }
    }

    /// Where the actor says that it is up.
    pub(super) fn address(&self) -> &Address<ProcessRegistryMessage> {
        &self.address
    }

    /// The mark that the process of a life carries.
    pub(crate) fn marker(&self, life: &WorkerLife) -> Marker {
        Marker { run: self.run, life: life.clone() }
    }

    /// Writes the intent to start a process. Nothing may be started before this returns `Ok`.
    pub(crate) async fn reserve(
        &self,
        life: WorkerLife,
        _shim: Option<ProcessIdentity>,
    ) -> Result<(), RegistryError> {
        let actor = self.address.current().ok_or(RegistryError::Away)?;
        answer(actor.call(|reply| ProcessRegistryMessage::Reserve { life, reply }, None).await)
    }

    /// Writes which process it became.
    pub(crate) async fn activate(
        &self,
        life: WorkerLife,
        process: ProcessIdentity,
    ) -> Result<(), RegistryError> {
        let actor = self.address.current().ok_or(RegistryError::Away)?;
        answer(actor.call(|reply| ProcessRegistryMessage::Activate { life, process, reply }, None).await)
    }

    /// Takes the record out. Where that fails, the next start finds a record without a process, and takes it out then.
    pub(crate) fn release(&self, life: WorkerLife) {
        self.address.cast(ProcessRegistryMessage::Release { life, reply: None });
    }

    /// The same, and waits until it is done. For a worker that was asked to stop: the registry may be stopped next.
    pub(crate) async fn release_and_wait(&self, life: WorkerLife) {
        if let Some(actor) = self.address.current() {
            // Where it takes too long, the next start takes the record out.
            let _ = actor
                .call(|reply| ProcessRegistryMessage::Release { life, reply: Some(reply) }, Some(PATIENCE))
                .await;
        }
    }
}

fn answer<M>(
    result: Result<CallResult<Result<(), RegistryError>>, ractor::MessagingErr<M>>,
) -> Result<(), RegistryError> {
    match result {
        Ok(CallResult::Success(answer)) => answer,
        Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => Err(RegistryError::Away),
    }
}
