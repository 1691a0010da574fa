//! The worker's end of the gRPC wire: a server without threads of its own, driven by whichever thread of the crew waits.
//!
//! The thread that reads drives the server until a request is there, then leaves it and runs the request; a thread that
//! stands by takes both over, as it does with a pipe. So a short command costs no hand-over between threads.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status, Streaming};

use crate::grpc::frames::{FrameSink, FrameStream, MESSAGE_LIMIT, ServedFrames, frame_queue};
use crate::grpc::generated::worker_server::{Worker as WorkerService, WorkerServer};
use crate::grpc::generated::{
    CancelRequest, CancelResponse, DrainRequest, DrainResponse, EndSessionRequest, EndSessionResponse,
    ExecuteRequest, ExecuteResponse, ExecuteStreamResponse, Frames,
};
use crate::grpc::{
    CONNECTION_WINDOW, Guard, KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT, STREAM_WINDOW, Token, WorkerAddress,
};

/// How long the last answers may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// So many turns of the runtime bring what was taken from the queue to the socket: one for the stream, one for the
/// connection, and one to spare.
const TURNS_TO_SOCKET: usize = 3;

/// A server that runs, and the host's stream on it.
pub(super) struct Served {
    pub(super) from_host: StreamFromHost,
    pub(super) to_host: StreamToHost,
    pub(super) server: RunningServer,
}

/// The server apart from its stream: kept until the worker leaves.
pub(super) struct RunningServer {
    runtime: Arc<Runtime>,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
    leave: oneshot::Sender<()>,
}

/// The host's messages, read by whoever waits for them.
pub(super) struct StreamFromHost {
    runtime: Arc<Runtime>,
    frames: Box<FrameStream>,
}

/// The worker's messages.
pub(super) struct StreamToHost {
    runtime: Arc<Runtime>,
    sink: FrameSink,
}

/// Listens, says so on `says`, and waits for the host's stream.
///
/// # Errors
/// What kept it from listening, or ended the server before a host came.
pub(super) fn serve(address: WorkerAddress, token: Token, says: Option<File>) -> io::Result<Served> {
    let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let (leave, leaves) = oneshot::channel();
    let (host, arrives) = oneshot::channel();
    let service = Service { host: Mutex::new(Some(host)) };
    let (listening_at, task) = runtime.block_on(async {
        let router = router(service, token);
        let leaves = async { drop(leaves.await) };
        match address {
            WorkerAddress::Unix(path) => {
                let incoming = UnixListenerStream::new(UnixListener::bind(&path)?);
                let task = tokio::spawn(router.serve_with_incoming_shutdown(incoming, leaves));
                io::Result::Ok((WorkerAddress::Unix(path), task))
            }
            WorkerAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                let incoming = without_delay(TcpListenerStream::new(listener));
                let task = tokio::spawn(router.serve_with_incoming_shutdown(incoming, leaves));
                Ok((WorkerAddress::Tcp(address), task))
            }
        }
    })?;
    if let Some(mut says) = says {
        // A host that does not listen is found to be gone by other means.
        let _ = writeln!(says, "{}", listening_at.to_text());
    }
    let (frames, sink) = runtime.block_on(arrives).map_err(|_| io::Error::other("the server ended"))?;
    Ok(Served {
        from_host: StreamFromHost { runtime: Arc::clone(&runtime), frames: Box::new(frames) },
        to_host: StreamToHost { runtime: Arc::clone(&runtime), sink },
        server: RunningServer { runtime, task, leave },
    })
}

fn without_delay(
    incoming: TcpListenerStream,
) -> impl Stream<Item = io::Result<tokio::net::TcpStream>> + Send + 'static {
    tokio_stream::StreamExt::map(incoming, |stream| stream.inspect(|stream| drop(stream.set_nodelay(true))))
}

fn router(service: Service, token: Token) -> Router {
    let guard = Guard(token);
    let worker = WorkerServer::new(service).max_decoding_message_size(2 * MESSAGE_LIMIT);
    let (_health, health) = tonic_health::server::health_reporter();
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(InterceptedService::new(health, guard.clone()))
        .add_service(InterceptedService::new(worker, guard))
}

impl RunningServer {
    /// Lets the last answers leave, the stream's end included.
    pub(super) fn finish(self) {
        // A server that has ended by itself hears nothing.
        let _ = self.leave.send(());
        // A host that does not take them in time does without.
        let _ = self.runtime.block_on(async { tokio::time::timeout(FAREWELL, self.task).await });
    }
}

impl StreamFromHost {
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.runtime.block_on(self.frames.read(buffer)).map_err(io::Error::other)
    }
}

impl StreamToHost {
    /// Writes what there is room for, and waits while there is none.
    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match self.sink.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.runtime.block_on(self.sink.writable());
                }
                written => return written,
            }
        }
    }

    /// Brings what was written to the socket: while a command computes, nobody else may drive the server.
    pub(super) fn flush(&self) {
        self.runtime.block_on(async {
            self.sink.taken().await;
            for _ in 0..TURNS_TO_SOCKET {
                yield_now().await;
            }
        });
    }

    pub(super) fn end(&self) {
        self.sink.end();
    }
}

impl std::fmt::Debug for StreamFromHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamFromHost")
    }
}

impl std::fmt::Debug for StreamToHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamToHost")
    }
}

/// What the server offers: the one stream of its one host.
struct Service {
    /// Taken by the first to connect.
    host: Mutex<Option<oneshot::Sender<(FrameStream, FrameSink)>>>,
}

#[tonic::async_trait]
impl WorkerService for Service {
    type ExecuteStreamStream = tokio_stream::Empty<Result<ExecuteStreamResponse, Status>>;
    type ConnectStream = ServedFrames;

    async fn connect(&self, request: Request<Streaming<Frames>>) -> Result<Response<ServedFrames>, Status> {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner).take();
        let host = host.ok_or_else(|| Status::failed_precondition("a host is connected already"))?;
        let (sink, source) = frame_queue();
        host.send((FrameStream::new(request.into_inner()), sink))
            .map_err(|_| Status::unavailable("the worker is about to leave"))?;
        Ok(Response::new(ServedFrames(source)))
    }

    async fn execute(&self, _: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        Err(only_connect())
    }

    async fn execute_stream(
        &self,
        _: Request<ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        Err(only_connect())
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(only_connect())
    }

    async fn end_session(
        &self,
        _: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        Err(only_connect())
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        Err(only_connect())
    }
}

fn only_connect() -> Status {
    Status::unimplemented("this worker serves Connect")
}
