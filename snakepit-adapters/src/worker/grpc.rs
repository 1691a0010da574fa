//! The worker's end of the gRPC wire: a server without threads of its own, driven by whichever thread of the crew waits.
//!
//! The thread that reads drives the server until a request is there, then leaves it and runs the request; a thread that
//! stands by takes both over, as it does with a pipe. So a short command costs no hand-over between threads.

mod calls;
mod service;

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
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

use crate::grpc::frames::{FrameSink, FrameSource, FrameStream};
use crate::grpc::generated::worker_server::WorkerServer;
use crate::grpc::{
    CONNECTION_WINDOW, Guard, KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT, STREAM_WINDOW, Token, WorkerAddress,
};
use crate::port::frame::REQUESTS_LIMIT;
use crate::worker::grpc::calls::{CALL_LIMIT, Calls};
use crate::worker::grpc::service::{Host, Service};

/// How long the last answers may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// Calls that one connection may have open: all requests that the worker takes, a Cancel for each, and as many of whatever else.
/// What is over the limit of requests is refused, and not kept waiting, so a Cancel finds room.
const STREAMS: u32 = 3 * REQUESTS_LIMIT as u32;
/// So many turns of the runtime bring what was taken from the queue to the socket: one for the stream, one for the
/// connection, and one to spare.
const TURNS_TO_SOCKET: usize = 3;

/// A server that runs, and the way in which the worker is asked on it.
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
    /// Its end tells the host of the worker's.
    _says: Option<File>,
}

/// What the host says, read by whoever waits for it.
pub(super) struct StreamFromHost {
    runtime: Arc<Runtime>,
    frames: Source,
}

enum Source {
    Stream(Box<FrameStream>),
    Calls(FrameSource),
}

/// What the worker says.
pub(super) struct StreamToHost {
    runtime: Arc<Runtime>,
    sink: Sink,
}

enum Sink {
    Stream(FrameSink),
    Calls(Arc<Calls>),
}

/// Listens, says so on `says`, and waits for the host's stream, or for the first call.
///
/// # Errors
/// What kept it from listening, or ended the server before a host came.
pub(super) fn serve(address: WorkerAddress, token: Token, says: Option<File>) -> io::Result<Served> {
    let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let (leave, leaves) = oneshot::channel();
    let (host, arrives) = oneshot::channel();
    let service = Service::new(host);
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
    if let Some(mut says) = says.as_ref() {
        // A host that does not listen is found to be gone by other means.
        let _ = writeln!(says, "{}", listening_at.to_text());
    }
    let host = runtime.block_on(arrives).map_err(|_| io::Error::other("the server ended"))?;
    let (frames, sink) = match host {
        Host::Stream(frames, sink) => (Source::Stream(frames), Sink::Stream(sink)),
        Host::Calls(source, calls) => (Source::Calls(source), Sink::Calls(calls)),
    };
    Ok(Served {
        from_host: StreamFromHost { runtime: Arc::clone(&runtime), frames },
        to_host: StreamToHost { runtime: Arc::clone(&runtime), sink },
        server: RunningServer { runtime, task, leave, _says: says },
    })
}

fn without_delay(
    incoming: TcpListenerStream,
) -> impl Stream<Item = io::Result<tokio::net::TcpStream>> + Send + 'static {
    tokio_stream::StreamExt::map(incoming, |stream| stream.inspect(|stream| drop(stream.set_nodelay(true))))
}

fn router(service: Service, token: Token) -> Router {
    let guard = Guard(token);
    let worker = WorkerServer::new(service).max_decoding_message_size(CALL_LIMIT);
    let (_health, health) = tonic_health::server::health_reporter();
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
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
        match &mut self.frames {
            Source::Stream(frames) => self.runtime.block_on(frames.read(buffer)).map_err(io::Error::other),
            Source::Calls(frames) => Ok(self.runtime.block_on(frames.read(buffer))),
        }
    }
}

impl StreamToHost {
    /// Writes what there is room for, and waits while there is none.
    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sink = match &self.sink {
            Sink::Stream(sink) => sink,
            Sink::Calls(calls) => return calls.hear(slices),
        };
        loop {
            match sink.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.runtime.block_on(sink.writable());
                }
                written => return written,
            }
        }
    }

    /// Brings what was written to the socket: while a command computes, nobody else may drive the server.
    pub(super) fn flush(&self) {
        self.runtime.block_on(async {
            if let Sink::Stream(sink) = &self.sink {
                sink.taken().await;
            }
            for _ in 0..TURNS_TO_SOCKET {
                yield_now().await;
            }
        });
    }

    pub(super) fn end(&self) {
        match &self.sink {
            Sink::Stream(sink) => sink.end(),
            Sink::Calls(calls) => calls.end(),
        }
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
