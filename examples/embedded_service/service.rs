//! The service's own actor: the pit is linked under it, and the web server runs beside it.

use std::path::Path;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_adapters::{PoolConfig, PortAdapter, ShutdownReport, Snakepit};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::embedded_service::routes;

/// How long the shutdown may take.
const BUDGET: Duration = Duration::from_secs(10);

/// The root of the program's tree. An actor that it supervises and that ends, such as the pit, ends it, too: that is what
/// ractor's own `handle_supervisor_evt` does.
pub(crate) struct Service;

pub(crate) struct ServiceArgs {
    pub(crate) listener: TcpListener,
    /// Where the report of the shutdown goes.
    pub(crate) stopped: oneshot::Sender<ShutdownReport>,
}

pub(crate) struct ServiceState {
    pit: Snakepit,
    server: JoinHandle<std::io::Result<()>>,
    /// Dropped, it stops the server.
    open: oneshot::Sender<()>,
    stopped: Option<oneshot::Sender<ShutdownReport>>,
}

impl Actor for Service {
    type Msg = ();
    type State = Option<ServiceState>;
    type Arguments = ServiceArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        args: ServiceArgs,
    ) -> Result<Self::State, ActorProcessingErr> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let worker = PortAdapter::python(here.join("workers/pit_worker.py"));
        // One worker and no line, so that one request fills the pool.
        let pool = PoolConfig::new("default", worker).size(1).with(|options| options.queue_limit = 0);
        let builder = Snakepit::builder().data_dir(here.join("var/embedded_service")).pool(pool);
        let pit = builder.start_linked(myself.get_cell()).await?;
        let (open, closed) = oneshot::channel::<()>();
        let server = axum::serve(args.listener, routes::router(pit.clone()));
        let server = server.with_graceful_shutdown(async move { drop(closed.await) });
        let server = tokio::spawn(server.into_future());
        Ok(Some(ServiceState { pit, server, open, stopped: Some(args.stopped) }))
    }

    /// What is linked under an actor is killed when that ends: whoever wants an ordered end awaits it here.
    async fn post_stop(
        &self,
        _myself: ActorRef<()>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(ServiceState { pit, server, open, stopped }) = state.take() else { return Ok(()) };
        // First the pools, so that whoever is still connected is answered; then the connections.
        let report = pit.shutdown(BUDGET).await;
        drop(open);
        server.await??;
        if let Some(stopped) = stopped {
            // Whoever started the service may not care how it ended.
            let _ = stopped.send(report);
        }
        Ok(())
    }
}
