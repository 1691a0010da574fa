//! A worker that is a gRPC server as anybody would write it: handlers that run to their end on threads of their own, and
//! know nothing of a call that was given up.
//!
//! Commands: `add` (a, b), `busy` (the most requests that ever ran at once), `sleep` (ms), `headers` (the trace and the time
//! that the call brought), `fail` (a plain status), `fail_richly`, `count` (n).

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use snakepit_adapters::grpc::error_status;
use snakepit_adapters::grpc::generated::worker_server::{Worker, WorkerServer};
use snakepit_adapters::grpc::generated::{
    CancelRequest, CancelResponse, DrainRequest, DrainResponse, EndSessionRequest, EndSessionResponse,
    ExecuteRequest, ExecuteResponse, ExecuteStreamResponse, Frames, Payload,
};
use snakepit_adapters::{WorkerError, WorkerErrorKind};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Iter, Once};
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::stub_worker::flags::Plain;

/// As many calls of one connection at once as is common where a library has a limit.
const STREAMS: u32 = 100;

#[derive(Debug)]
struct Stub {
    plain: Plain,
    token: String,
    work: Arc<Work>,
}

/// What the handlers share.
#[derive(Debug, Default)]
struct Work {
    running: AtomicU64,
    most: AtomicU64,
    /// For each request: whether it is cancelled. Dropped by its handler when that is done.
    cancelled: Mutex<HashMap<u64, watch::Sender<bool>>>,
}

#[expect(clippy::disallowed_methods, reason = "a worker is told where to listen there, by its host")]
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

pub(crate) fn serve(plain: Plain) -> ExitCode {
    let address = told("SNAKEPIT_GRPC_ADDRESS");
    let stub = Stub { plain, token: told("SNAKEPIT_GRPC_TOKEN"), work: Arc::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map(|runtime| {
        runtime.block_on(async {
            let listener = UnixListener::bind(address.trim_start_matches("unix:"))?;
            let router =
                Server::builder().max_concurrent_streams(STREAMS).add_service(WorkerServer::new(stub));
            // It knows nothing of fd 4: the host finds it by trying. Nor of its health.
            router.serve_with_incoming(UnixListenerStream::new(listener)).await.map_err(std::io::Error::other)
        })
    });
    if matches!(served, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Stub {
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let given = metadata.get("authorization").and_then(|value| value.to_str().ok());
        if given == Some(&format!("Bearer {}", self.token)) {
            return Ok(());
        }
        Err(Status::unauthenticated("no token"))
    }
}

impl Work {
    fn cancelled(&self) -> std::sync::MutexGuard<'_, HashMap<u64, watch::Sender<bool>>> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(
        &self,
        request: &ExecuteRequest,
        arguments: &Value,
        hears: &watch::Receiver<bool>,
    ) -> Result<Value, Status> {
        match request.command.as_str() {
            "add" => Ok(json!(arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0))),
            "busy" => Ok(json!(self.most.load(Ordering::SeqCst))),
            "sleep" => {
                for _ in 0..arguments["ms"].as_u64().unwrap_or(0) {
                    if *hears.borrow() {
                        return Err(Status::cancelled("told to stop"));
                    }
                    crate::stub_worker::sleep(Duration::from_millis(1));
                }
                Ok(json!("slept"))
            }
            "fail" => Err(Status::not_found("no such row")),
            "fail_richly" => Err(error_status(&rich())),
            unknown => Err(Status::unimplemented(format!("no command {unknown}"))),
        }
    }
}

fn rich() -> WorkerError {
    WorkerError {
        kind: WorkerErrorKind::Other("out_of_ink".into()),
        type_name: "PrinterError".into(),
        message: "the printer is empty".into(),
        traceback: Some("line 1".into()),
        retryable: false,
        details: Some(json!({"cartridge": 2})),
        cause: None,
    }
}

fn payload(value: &Value) -> Payload {
    Payload { data: Bytes::from(value.to_string()), ..Payload::default() }
}

fn arguments(request: &ExecuteRequest) -> Value {
    let data = request.payload.as_ref().map(|payload| payload.data.clone()).unwrap_or_default();
    serde_json::from_slice(&data).unwrap_or_default()
}

#[tonic::async_trait]
impl Worker for Stub {
    type ExecuteStreamStream = Iter<std::vec::IntoIter<Result<ExecuteStreamResponse, Status>>>;
    type ConnectStream = Once<Result<Frames, Status>>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        self.admit(request.metadata())?;
        if request.get_ref().command == "headers" {
            let header = |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok());
            let said = json!({"traceparent": header("traceparent"), "grpc-timeout": header("grpc-timeout")});
            return Ok(Response::new(ExecuteResponse { payload: Some(payload(&said)) }));
        }
        let (request, work) = (request.into_inner(), Arc::clone(&self.work));
        let (cancels, hears) = watch::channel(false);
        work.cancelled().insert(request.id, cancels);
        // As grpcio runs a handler: on a thread, to its end, whatever becomes of the call.
        let handler = tokio::task::spawn_blocking(move || {
            let running = work.running.fetch_add(1, Ordering::SeqCst) + 1;
            work.most.fetch_max(running, Ordering::SeqCst);
            let done = work.run(&request, &arguments(&request), &hears);
            work.running.fetch_sub(1, Ordering::SeqCst);
            work.cancelled().remove(&request.id);
            done
        });
        let done = handler.await.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Response::new(ExecuteResponse { payload: Some(payload(&done)) }))
    }

    async fn execute_stream(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        self.admit(request.metadata())?;
        let n = arguments(request.get_ref())["n"].as_u64().unwrap_or(0);
        let items: Vec<_> =
            (0..n).map(|i| Ok(ExecuteStreamResponse { payload: Some(payload(&json!({"i": i}))) })).collect();
        Ok(Response::new(tokio_stream::iter(items)))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        self.admit(request.metadata())?;
        if self.plain != Plain::CallsAndCancel {
            return Err(Status::unimplemented("no Cancel"));
        }
        let id = request.get_ref().id;
        let is_done = self.work.cancelled().get(&id).map(|cancels| {
            cancels.send_replace(true);
            cancels.clone()
        });
        if let Some(cancels) = is_done {
            // Its handler drops its receiver when it is done.
            cancels.closed().await;
        }
        Ok(Response::new(CancelResponse {}))
    }

    async fn connect(
        &self,
        request: Request<Streaming<Frames>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        self.admit(request.metadata())?;
        if self.plain != Plain::Rubbish {
            return Err(Status::unimplemented("no Connect"));
        }
        let rubbish = Frames { frames: Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n") };
        Ok(Response::new(tokio_stream::once(Ok(rubbish))))
    }

    async fn end_session(
        &self,
        _: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        Err(Status::unimplemented("no sessions"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        Err(Status::unimplemented("no Drain"))
    }
}
