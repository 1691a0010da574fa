//! From a wire to a worker that is ready for requests.

use std::any::Any;
use std::sync::Arc;

use ractor::{Actor, SpawnErr};
use snakepit_core::adapter::{AdapterFailure, AdapterRef, Connect, Connected};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::port::connection::actor::{ConnectionArguments, PortConnection};
use crate::port::connection::outlet::PortOutlet;
use crate::port::connection::outstanding::Outstanding;
use crate::port::connection::wire::{FromWorker, ToWorker};
use crate::port::frame::{Hello, PROTOCOL, REQUESTS_LIMIT, STARTED};

/// A wire to a worker's process.
pub(crate) struct OpenWire {
    pub(crate) to_worker: ToWorker,
    pub(crate) from_worker: FromWorker,
    /// The greeting, unless it is on its way already.
    pub(crate) hello: Option<Hello>,
    /// What is to be kept for as long as the wire is used.
    pub(crate) keeps: Option<Box<dyn Any + Send + Sync>>,
}

/// Starts the adapter actor on the pipes, and ends when the worker has said that it is ready.
pub(in crate::port) async fn open(mut connect: Connect) -> Result<Connected, AdapterFailure> {
    let pipes = connect.pipes.take().ok_or_else(|| failed("the worker's process has no wire"))?;
    let to_worker = pipe::Sender::from_owned_fd(pipes.to_worker).map_err(|error| failed(&error))?;
    let from_worker = pipe::Receiver::from_owned_fd(pipes.from_worker).map_err(|error| failed(&error))?;
    let wire = OpenWire {
        to_worker: ToWorker::Pipe(to_worker),
        from_worker: FromWorker::Pipe(from_worker),
        hello: Some(greeting(&connect)),
        keeps: None,
    };
    open_wire(wire, connect).await
}

/// What the host says first.
pub(crate) fn greeting(connect: &Connect) -> Hello {
    let life = &connect.life;
    Hello {
        protocol: vec![PROTOCOL],
        features: connect.wants_started.then(|| STARTED.to_owned()).into_iter().collect(),
        pool: life.worker.pool.to_string(),
        slot: life.worker.slot.0,
        incarnation: life.incarnation.0,
        payload_limit: connect.payload_limit as u64,
    }
}

/// Starts the adapter actor on a wire, and ends when the worker has said that it is ready.
pub(crate) async fn open_wire(wire: OpenWire, connect: Connect) -> Result<Connected, AdapterFailure> {
    let (ready, readiness) = oneshot::channel();
    let outstanding = Arc::new(Outstanding::default());
    let outlet = Arc::new(PortOutlet::new(
        wire.to_worker,
        Arc::clone(&outstanding),
        connect.reports.clone(),
        connect.payload_limit,
    ));
    let arguments = ConnectionArguments {
        hello: wire.hello,
        from_worker: wire.from_worker,
        outstanding,
        reports: connect.reports,
        payload_limit: connect.payload_limit,
        ready,
    };
    let connection = PortConnection::new(Arc::clone(&outlet), wire.keeps);
    let (actor, _ended) = Actor::spawn_linked(None, connection, arguments, connect.supervisor)
        .await
        .map_err(|error: SpawnErr| failed(&error))?;
    let ready = readiness.await.map_err(|_| failed("the connection ended before the worker was ready"))??;
    Ok(Connected {
        adapter: AdapterRef::with_outlet(actor.get_derived(), outlet),
        capacity: ready.capacity.min(REQUESTS_LIMIT),
        tells_started: connect.wants_started && ready.features.iter().any(|feature| feature == STARTED),
        agent: ready.agent,
    })
}

fn failed(what: &(impl ToString + ?Sized)) -> AdapterFailure {
    AdapterFailure::Failed { what: what.to_string() }
}
