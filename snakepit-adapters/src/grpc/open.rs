//! From a process that was just started to a worker that is ready for requests.

use std::io::IoSlice;
use std::time::Duration;

use bytes::BytesMut;
use ractor::{Actor, ActorCell};
use snakepit_core::WirePipes;
use snakepit_core::adapter::{AdapterFailure, Connect, Connected};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::grpc::WorkerAddress;
use crate::grpc::adapter::Told;
use crate::grpc::calls::{CallsArguments, UnaryCalls};
use crate::grpc::frames::{FrameSink, FrameStream, MESSAGE_LIMIT, frame_queue};
use crate::grpc::generated::CancelRequest;
use crate::grpc::generated::worker_client::WorkerClient;
use crate::grpc::status::TRAILERS_TAKEN;
use crate::grpc::token::Bearer;
use crate::port::connection::{FromWorker, OpenWire, ToWorker, greeting, open_wire};
use crate::port::frame::{Kind, put_frame};

/// A worker that does not say when it listens is tried this often.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// The longest line with which a worker says where it listens.
const LINE_LIMIT: u64 = 256;
/// How much of one stream, and of all together, may be under way before the other end has taken some.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 4 << 20;
/// The least that servers allow by default; a dead worker is found by its process and by heartbeats long before.
pub(crate) const KEEPALIVE_EVERY: Duration = Duration::from_mins(5);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A channel on which every call has the token.
pub(super) type GuardedChannel = InterceptedService<Channel, Bearer>;

/// Reaches the worker, waits until it is ready, and starts the adapter actor.
pub(super) async fn open(told: Told, mut connect: Connect) -> Result<Connected, AdapterFailure> {
    let pipes = connect.pipes.take().ok_or_else(|| failed("the worker's process has no pipes"))?;
    let WirePipes { to_worker, from_worker } = pipes;
    let says = pipe::Receiver::from_owned_fd(from_worker).map_err(|error| failed(&error))?;
    let (endpoint, channel, says) = reach(&told.address, says).await?;
    let channel = InterceptedService::new(channel, told.token.bearer());
    await_health(&mut HealthClient::new(channel.clone())).await?;
    // The pipe is open for as long as the host wants the worker; its end says that the host is gone.
    let keeps = Box::new((to_worker, channel.clone()));
    let opened = if told.connects {
        connect_stream(channel.clone(), &connect).await
    } else {
        Err(Status::unimplemented("not asked for"))
    };
    let (sink, messages) = match opened {
        Ok(opened) => opened,
        Err(status) if status.code() == Code::Unimplemented => {
            // A server takes so many calls of a connection at once, and others wait: what is said about requests must not wait
            // for their ends.
            let control = InterceptedService::new(endpoint.connect_lazy(), told.token.bearer());
            let serves_cancel = serves_cancel(&mut WorkerClient::new(control.clone())).await?;
            let calls = UnaryCalls::new(channel, control, connect.payload_limit, keeps);
            let arguments = CallsArguments { reports: connect.reports, serves_cancel, worker: says };
            return start_calls((calls, arguments), told.capacity, connect.supervisor).await;
        }
        Err(status) => return Err(refused("Connect", &status)),
    };
    let wire = OpenWire {
        to_worker: ToWorker::Stream(sink),
        from_worker: FromWorker::Stream(Box::new(messages)),
        hello: None,
        keeps: Some(keeps),
    };
    open_wire(wire, connect).await
}

/// Asks for the cancel of a request that nobody made.
async fn serves_cancel(client: &mut WorkerClient<GuardedChannel>) -> Result<bool, AdapterFailure> {
    match client.cancel(CancelRequest { id: 0 }).await {
        Ok(_) => Ok(true),
        Err(status) if status.code() == Code::Unimplemented => Ok(false),
        Err(status) => Err(refused("Cancel", &status)),
    }
}

/// Starts the actor that makes a call for each request.
async fn start_calls(
    (calls, arguments): (UnaryCalls, CallsArguments),
    capacity: u16,
    supervisor: ActorCell,
) -> Result<Connected, AdapterFailure> {
    let started = Actor::spawn_linked(None, calls, arguments, supervisor).await;
    let (actor, _ended) = started.map_err(|error| failed(&error))?;
    Ok(Connected {
        adapter: actor.get_derived().into(),
        capacity,
        tells_started: false,
        agent: "a gRPC worker, asked by calls".into(),
    })
}

/// Connects with the worker as soon as it listens.
async fn reach(
    address: &WorkerAddress,
    says: pipe::Receiver,
) -> Result<(Endpoint, Channel, pipe::Receiver), AdapterFailure> {
    let mut says = BufReader::new(says.take(LINE_LIMIT));
    let mut line = String::new();
    let address = match address {
        // Whoever else might listen on a port that was named beforehand would be taken for the worker.
        WorkerAddress::Tcp(_) => {
            let read = says.read_line(&mut line).await.map_err(|error| failed(&error))?;
            if read == 0 {
                return Err(AdapterFailure::Disconnected);
            }
            let said = WorkerAddress::from_text(line.trim());
            said.filter(|said| matches!(said, WorkerAddress::Tcp(_))).ok_or_else(|| protocol(&line))?
        }
        WorkerAddress::Unix(_) => address.clone(),
    };
    let endpoint = endpoint(&address)?;
    loop {
        match (endpoint.connect().await, &address) {
            (Ok(channel), _) => return Ok((endpoint, channel, says.into_inner().into_inner())),
            (Err(error), WorkerAddress::Tcp(_)) => return Err(failed(&error)),
            (Err(_), WorkerAddress::Unix(_)) => {}
        }
        // A worker that says when it listens is heard at once; what it says changes nothing.
        let said = async {
            match says.read_line(&mut line).await {
                Ok(read) if read > 0 => {}
                Ok(_) | Err(_) => std::future::pending().await,
            }
        };
        // A worker that is too slow is given up by its startup_timeout, which drops this.
        let _ = tokio::time::timeout(TRY_EVERY, said).await;
    }
}

fn endpoint(address: &WorkerAddress) -> Result<Endpoint, AdapterFailure> {
    let uri = match address {
        WorkerAddress::Unix(_) => address.to_text(),
        WorkerAddress::Tcp(_) => format!("http://{}", address.to_text()),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| failed(&error))?;
    Ok(endpoint
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // By default it would be 16 KiB, and an error with more to say would cost the connection.
        .http2_max_header_list_size(TRAILERS_TAKEN)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT))
}

/// Waits until the worker says that it serves.
async fn await_health(health: &mut HealthClient<GuardedChannel>) -> Result<(), AdapterFailure> {
    loop {
        match health.check(HealthCheckRequest::default()).await {
            Ok(response) if response.get_ref().status() == ServingStatus::Serving => return Ok(()),
            // It answers, which is as much as a worker without the health service can say.
            Err(status) if status.code() == Code::Unimplemented => return Ok(()),
            Ok(_) => {}
            Err(status) => return Err(refused("its health", &status)),
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

/// Opens the one stream that carries everything.
async fn connect_stream(
    channel: GuardedChannel,
    connect: &Connect,
) -> Result<(FrameSink, FrameStream), Status> {
    let (sink, source) = frame_queue();
    // A server may answer no sooner than it has heard something: the greeting goes first.
    let mut hello = BytesMut::new();
    let body = serde_json::to_vec(&greeting(connect)).expect("texts and numbers have a JSON form");
    put_frame(&mut hello, Kind::Hello, 0, &body);
    sink.try_write_vectored(&[IoSlice::new(&hello)]).expect("an empty queue has room for a greeting");

    let mut client = WorkerClient::new(channel).max_decoding_message_size(2 * MESSAGE_LIMIT);
    let messages = client.connect(source).await?.into_inner();
    Ok((sink, FrameStream::new(messages)))
}

fn refused(what: &str, status: &Status) -> AdapterFailure {
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Unknown => AdapterFailure::Disconnected,
        code => AdapterFailure::Protocol {
            what: format!("asked for {what}, the worker answered {code:?}: {}", status.message()),
        },
    }
}

fn protocol(line: &str) -> AdapterFailure {
    AdapterFailure::Protocol {
        what: format!("it says that it listens on {line:?}, which is no port of this machine"),
    }
}

fn failed(what: &(impl ToString + ?Sized)) -> AdapterFailure {
    AdapterFailure::Failed { what: what.to_string() }
}
