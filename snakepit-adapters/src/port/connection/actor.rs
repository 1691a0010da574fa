//! The adapter actor of one worker: it holds the way to the worker open, writes what a full pipe did not take, and ends
//! when there is nobody to speak to.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_core::adapter::{AdapterFailure, AdapterReports, Outlet};
use tokio::task::JoinSet;

use crate::port::connection::message::ConnectionMessage;
use crate::port::connection::outlet::PortOutlet;
use crate::port::connection::outstanding::Outstanding;
use crate::port::connection::reader::{Reader, ReadyReply};
use crate::port::connection::wire::FromWorker;
use crate::port::frame::{Decoder, Hello, Side};

/// Holds the way to the worker and the tasks, so that both end with the actor and not when somebody has read its last state.
pub(super) struct PortConnection {
    outlet: Arc<PortOutlet>,
    tasks: Mutex<JoinSet<()>>,
    /// What is to be kept for as long as the connection lasts.
    _keeps: Option<Box<dyn Any + Send + Sync>>,
}

pub(super) struct ConnectionArguments {
    /// The greeting, unless it is on its way already.
    pub(super) hello: Option<Hello>,
    pub(super) from_worker: FromWorker,
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) reports: AdapterReports,
    pub(super) payload_limit: usize,
    pub(super) ready: ReadyReply,
}

impl PortConnection {
    pub(super) fn new(outlet: Arc<PortOutlet>, keeps: Option<Box<dyn Any + Send + Sync>>) -> Self {
        Self { outlet, tasks: Mutex::new(JoinSet::new()), _keeps: keeps }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Sees to it that the actor hears when the pipe takes more.
    fn await_room(&self, myself: ActorRef<ConnectionMessage>) {
        let Some(writable) = self.outlet.writable() else { return };
        self.spawn(async move {
            writable.await;
            // An actor that cannot be cast to is past writing.
            let _ = myself.cast(ConnectionMessage::WireWritable);
        });
    }
}

impl Drop for PortConnection {
    fn drop(&mut self) {
        // Before the worker can answer to the end of its pipe: what it says then is no reason why this actor ended.
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.outlet.end();
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for PortConnection {
    type Msg = ConnectionMessage;
    type State = ();
    type Arguments = ConnectionArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ConnectionMessage>,
        arguments: ConnectionArguments,
    ) -> Result<(), ActorProcessingErr> {
        let ConnectionArguments { hello, from_worker, outstanding, reports, payload_limit, ready } =
            arguments;
        let write_failed = self.outlet.open(myself.clone(), hello)?;
        let reader = Reader {
            from_worker,
            decoder: Decoder::new(Side::Worker, payload_limit),
            outstanding,
            outlet: Arc::clone(&self.outlet),
            reports,
            is_wide: false,
            wants_to_go: false,
            ready: Some(ready),
        };
        self.spawn(reader.run(myself, write_failed));
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<ConnectionMessage>,
        message: ConnectionMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConnectionMessage::Asked(asked) => {
                // The outlet takes everything for as long as its actor handles messages.
                let _ = self.outlet.take(asked);
                self.outlet.flush_soon();
            }
            ConnectionMessage::Flush | ConnectionMessage::WireWritable => self.outlet.write(),
            ConnectionMessage::PipeFull => self.await_room(myself),
            ConnectionMessage::AskedTwice { id } => {
                let what = format!("request {id} was asked twice");
                return Err(Box::new(AdapterFailure::Failed { what }));
            }
            ConnectionMessage::WireEnded { failure } => {
                self.outlet.end_with_wire();
                return Err(Box::new(failure));
            }
        }
        Ok(())
    }
}
