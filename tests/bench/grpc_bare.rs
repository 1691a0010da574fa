//! The references over gRPC: echo servers with tonic and with grpcio, asked by a tonic client, and nothing around them.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use snakepit_adapters::grpc::generated::worker_client::WorkerClient;
use snakepit_adapters::grpc::generated::worker_server::{Worker, WorkerServer};
use snakepit_adapters::grpc::generated::{
    CancelRequest, CancelResponse, DrainRequest, DrainResponse, EndSessionRequest, EndSessionResponse,
    ExecuteRequest, ExecuteResponse, ExecuteStreamResponse, Frames, Payload,
};
use snakepit_tests::lacking::python_with_extras;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::child::EchoChild;
use crate::figures::Laps;

/// A unary echo, as a Python programmer would write it.
const GRPCIO: &str = r"
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc
echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('snakepit.worker.v1.Worker', {'Execute': echo}),))
server.add_insecure_port('unix:' + sys.argv[1])
server.start()
server.wait_for_termination()
";

/// Serves as the child of a reference.
pub(crate) fn serve(socket: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let incoming = UnixListenerStream::new(tokio::net::UnixListener::bind(socket)?);
        Ok(Server::builder().add_service(WorkerServer::new(Echo)).serve_with_incoming(incoming).await?)
    })
}

struct Echo;

/// A reference's server and a client of it.
pub(crate) struct Reference {
    client: WorkerClient<Channel>,
    _server: EchoChild,
    _folder: tempfile::TempDir,
}

impl Reference {
    pub(crate) async fn tonic() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("tonic-echo");
        Self::start(command).await
    }

    pub(crate) async fn grpcio() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(python_with_extras().ok_or("no virtual environment with grpcio")?);
        command.args(["-c", GRPCIO]);
        Self::start(command).await
    }

    async fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("s");
        let server = EchoChild::start({
            command.arg(&socket);
            command
        })?;
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
        let until = Instant::now() + Duration::from_secs(30);
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        Ok(Self { client: WorkerClient::new(channel), _server: server, _folder: folder })
    }

    /// One caller, 64 bytes: microseconds.
    pub(crate) async fn unary_p50(self, calls: usize) -> Result<f64, Box<dyn Error>> {
        let mut client = self.client.clone();
        let caller = tokio::spawn(async move {
            let mut laps = Laps::default();
            for _ in 0..calls {
                let start = Instant::now();
                client.execute(request()).await?;
                laps.add(start);
            }
            Ok::<_, Status>(laps.p50())
        });
        Ok(caller.await??)
    }

    /// So many callers: calls per second.
    pub(crate) async fn unary_throughput(self, callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
        let mut tasks = JoinSet::new();
        let each = calls / callers;
        let start = Instant::now();
        for _ in 0..callers {
            let mut client = self.client.clone();
            tasks.spawn(async move {
                for _ in 0..each {
                    client.execute(request()).await?;
                }
                Ok::<_, Status>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok((each * callers) as f64 / start.elapsed().as_secs_f64())
    }

    /// One stream, one message at a time, 64 bytes: microseconds.
    pub(crate) async fn bidi_p50(mut self, calls: usize) -> Result<f64, Box<dyn Error>> {
        let (send, messages) = mpsc::channel(1);
        let mut answers = self.client.connect(ReceiverStream::new(messages)).await?.into_inner();
        let caller = tokio::spawn(async move {
            let mut laps = Laps::default();
            for _ in 0..calls {
                let start = Instant::now();
                send.send(frames()).await.map_err(|_| Status::unavailable("the stream has ended"))?;
                answers.message().await?;
                laps.add(start);
            }
            Ok::<_, Status>(laps.p50())
        });
        Ok(caller.await??)
    }

    /// One stream, so many messages under way: messages per second.
    pub(crate) async fn bidi_throughput(
        mut self,
        window: usize,
        calls: usize,
    ) -> Result<f64, Box<dyn Error>> {
        let (send, messages) = mpsc::channel(window);
        let mut answers = self.client.connect(ReceiverStream::new(messages)).await?.into_inner();
        let start = Instant::now();
        for _ in 0..window {
            send.send(frames()).await?;
        }
        for _ in 0..calls {
            answers.message().await?;
            send.send(frames()).await?;
        }
        Ok(calls as f64 / start.elapsed().as_secs_f64())
    }
}

fn request() -> ExecuteRequest {
    let payload = Payload { data: Bytes::from_static(&[7; 64]), ..Payload::default() };
    ExecuteRequest { command: "echo".into(), payload: Some(payload), ..ExecuteRequest::default() }
}

fn frames() -> Frames {
    Frames { frames: Bytes::from_static(&[7; 64]) }
}

#[tonic::async_trait]
impl Worker for Echo {
    type ExecuteStreamStream = tokio_stream::Empty<Result<ExecuteStreamResponse, Status>>;
    type ConnectStream = Streaming<Frames>;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        Ok(Response::new(ExecuteResponse { payload: request.into_inner().payload }))
    }

    async fn connect(
        &self,
        request: Request<Streaming<Frames>>,
    ) -> Result<Response<Streaming<Frames>>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn execute_stream(
        &self,
        _: Request<ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStreamStream>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn end_session(
        &self,
        _: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }
}
