//! The registry's actor: one commit a message, off the runtime's threads.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::id::WorkerLife;
use crate::process::ProcessIdentity;
use crate::process_registry::handle::{ProcessRegistryRef, RegistryError};
use crate::process_registry::lock::DirectoryLock;
use crate::process_registry::message::ProcessRegistryMessage;
use crate::process_registry::record::Record;
use crate::process_registry::store::{Store, StoreError};

/// The handler of the registry's actor.
#[derive(Debug)]
pub(crate) struct ProcessRegistry;

/// What every life of the actor works on; the store outlives each of them.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRegistryArgs {
    pub(crate) store: Arc<Store>,
    pub(crate) handle: ProcessRegistryRef,
    pub(crate) boot_id: Arc<str>,
    /// Held for as long as the store is.
    #[expect(dead_code, reason = "held, not used")]
    pub(crate) lock: Arc<DirectoryLock>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for ProcessRegistry {
    type Msg = ProcessRegistryMessage;
    type State = ProcessRegistryArgs;
    type Arguments = ProcessRegistryArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        args.handle.address().publish(myself);
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProcessRegistryMessage::Reserve { life, reply } => {
                // A worker that has ended by now starts no process; its record is taken out at the next start.
                let _ = reply.send(state.reserve(&life).await);
            }
            ProcessRegistryMessage::Activate { life, process, reply } => {
                let _ = reply.send(state.activate(&life, process).await);
            }
            ProcessRegistryMessage::Release { life, reply } => {
                state.release(&life).await;
                if let Some(reply) = reply {
                    let _ = reply.send(());
                }
            }
        }
        Ok(())
    }
}

impl ProcessRegistryArgs {
    async fn reserve(&self, life: &WorkerLife) -> Result<(), RegistryError> {
        let marker = self.handle.marker(life);
        let record = Record::reserved(&marker, &self.boot_id);
        self.commit(move |store| store.put(&marker, &record)).await
    }

    async fn activate(&self, life: &WorkerLife, process: ProcessIdentity) -> Result<(), RegistryError> {
        let marker = self.handle.marker(life);
        let record = Record::reserved(&marker, &self.boot_id).activated(process);
        self.commit(move |store| store.put(&marker, &record)).await
    }

    async fn release(&self, life: &WorkerLife) {
        let marker = self.handle.marker(life);
        if let Err(error) = self.commit(move |store| store.remove(&[marker])).await {
            error!(worker = %life, %error, "the record of a process that is gone could not be taken out");
        }
    }

    async fn commit(
        &self,
        change: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), RegistryError> {
        let store = Arc::clone(&self.store);
        match spawn_blocking(move || change(&store)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RegistryError::NotWritten { message: error.to_string() }),
            // The runtime is shutting down.
            Err(_) => Err(RegistryError::Away),
        }
    }
}
