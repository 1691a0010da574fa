//! The gRPC wire: who may call a worker, over which socket, and what is left of it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::GrpcAdapter;
use snakepit_adapters::grpc::generated::Frames;
use snakepit_adapters::grpc::generated::worker_client::WorkerClient;
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::{self, Mark, eventually};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::system::subject::{HANG, Kind, Subject, on_both_runtimes, stub};

/// What a worker was told by its environment, which only its own user can read.
struct Told {
    address: String,
    token: String,
}

fn told(pid: i32) -> Told {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let value = |name: &str| {
        let mut pairs = environment.split(|byte| *byte == 0).map(|pair| String::from_utf8_lossy(pair));
        pairs.find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned)).unwrap()
    };
    Told { address: value("SNAKEPIT_GRPC_ADDRESS"), token: value("SNAKEPIT_GRPC_TOKEN") }
}

impl Told {
    fn socket(&self) -> PathBuf {
        self.address.strip_prefix("unix:").unwrap().into()
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }
}

fn with<M>(message: M, token: Option<&str>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn health(channel: Channel, token: Option<&str>) -> Result<i32, Code> {
    let answer = HealthClient::new(channel).check(with(HealthCheckRequest::default(), token)).await;
    answer.map(|answer| answer.get_ref().status).map_err(|status| status.code())
}

async fn connect(channel: Channel, token: Option<&str>) -> Code {
    let frames = tonic::codegen::tokio_stream::pending::<Frames>();
    WorkerClient::new(channel).connect(with(frames, token)).await.unwrap_err().code()
}

#[test]
fn a_client_without_the_token_cannot_call_a_worker() {
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::GrpcRust, |options| options.size = 1).await;
        let told = told(subject.pids().await[0]);
        let channel = told.channel().await;
        let wrong = "0".repeat(told.token.len());
        for token in [None, Some(""), Some(wrong.as_str()), Some(&told.token[1..])] {
            assert_eq!(health(channel.clone(), token).await, Err(Code::Unauthenticated), "{token:?}");
            assert_eq!(connect(channel.clone(), token).await, Code::Unauthenticated, "{token:?}");
        }
        // With it the worker answers, and has a host already.
        assert_eq!(health(channel.clone(), Some(&told.token)).await, Ok(1));
        assert_eq!(connect(channel, Some(&told.token)).await, Code::FailedPrecondition);
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3, "the worker serves on");
        subject.stop().await;
    });
}

#[test]
fn another_user_cannot_reach_the_socket() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("another_user_cannot_reach_the_socket", "only root may become another user");
    }
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::GrpcRust, |options| options.size = 1).await;
        let socket = told(subject.pids().await[0]).socket();
        // The only wall is the one that is tested.
        for open in socket.ancestors().skip(3).take_while(|path| *path != Path::new("/tmp")) {
            let mode = std::fs::metadata(open).unwrap().permissions().mode();
            std::fs::set_permissions(open, PermissionsExt::from_mode(mode | 0o055)).unwrap();
        }
        let connects = |uid: u32| {
            let script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
            let mut python = Command::new("python3");
            python.args(["-c", script]).arg(&socket).uid(uid).gid(uid).current_dir("/");
            let output = python.output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        assert!(connects(0).0, "the host's own user can");
        let (succeeded, why) = connects(65534);
        assert!(!succeeded && why.contains("PermissionError"), "{why}");
        subject.stop().await;
    });
}

#[test]
fn a_socket_goes_with_its_worker_however_that_goes() {
    on_both_runtimes(|| async {
        let subject = Subject::start(Kind::GrpcRust).await;
        subject.all_ready(2).await;
        let pids = subject.pids().await;
        let sockets: Vec<PathBuf> = pids.iter().map(|pid| told(*pid).socket()).collect();
        assert!(sockets.iter().all(|socket| socket.exists()));
        oracle::signal(pids[0], Signal::SIGKILL);
        eventually("the killed worker's directory is removed", || !sockets[0].parent().unwrap().exists())
            .await;
        let folder = sockets[0].ancestors().nth(2).unwrap().to_owned();
        let sockets = || std::fs::read_dir(&folder).unwrap().count();
        eventually("there is one for each worker", || sockets() == 2).await;
        subject.pit.shutdown(HANG).await;
        assert_eq!(sockets(), 0);
        subject.mark.assert_nothing_left().await;
    });
}

#[test]
fn a_worker_may_listen_on_a_port_of_this_machine() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let adapter = GrpcAdapter::new(stub()).tcp().env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(adapter, mark, |_| {}).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        subject.stop().await;
    });
}

#[test]
fn a_worker_that_names_another_machine_is_not_believed() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let shell = GrpcAdapter::new("sh").tcp().args(["-c", "echo 10.0.0.1:80 >&4; exec sleep 600"]);
        let shell = shell.env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(shell, mark, |options| options.size = 1).await;
        let error = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(error.contains("no port of this machine"), "{error}");
        subject.stop().await;
    });
}
