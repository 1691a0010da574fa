//! The gRPC wire: who may call a worker, over which socket, and what is left of it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::grpc::generated::Frames;
use snakepit_adapters::grpc::generated::worker_client::WorkerClient;
use snakepit_adapters::{GrpcAdapter, UserIds};
use snakepit_tests::lacking::{python_with_extras, skipped};
use snakepit_tests::oracle::{self, Mark, eventually};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::system::subject::{HANG, Kind, Subject, on_both_runtimes, stub};

/// What a worker was told by its environment, which only its own user can read.
pub(crate) struct Told {
    address: String,
    pub(crate) token: String,
}

pub(crate) fn told(pid: i32) -> Told {
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

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }
}

pub(crate) fn with<M>(message: M, token: Option<&str>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

pub(crate) async fn health(channel: Channel, token: Option<&str>) -> Result<i32, Code> {
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
fn a_port_serves_nobody_without_the_token() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let adapter = GrpcAdapter::new(stub()).tcp().env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(adapter, mark, |options| options.size = 1).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let pid = subject.pids().await[0];
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", port_of(pid))).unwrap();
        let channel = channel.connect().await.unwrap();
        assert_eq!(health(channel.clone(), None).await, Err(Code::Unauthenticated));
        assert_eq!(connect(channel.clone(), Some("guessed")).await, Code::Unauthenticated);
        assert_eq!(health(channel, Some(&told(pid).token)).await, Ok(1));
        subject.stop().await;
    });
}

/// The port on which a process listens.
fn port_of(pid: i32) -> u16 {
    let sockets: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().collect();
    let inodes: Vec<String> = sockets
        .into_iter()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let listening = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_this = listening.filter(|row| row[3] == "0A" && inodes.iter().any(|inode| inode == row[9]));
    let ports: Vec<_> = of_this.filter_map(|row| row[1].split_once(':')).collect();
    let [(_, port)] = ports[..] else { panic!("it listens on {ports:?}") };
    u16::from_str_radix(port, 16).unwrap()
}

/// Runs a line of Python as another user, and says whether it succeeds, and what it wrote to stderr.
fn as_user(uid: u32, script: &str, path: &Path) -> (bool, String) {
    let mut python = Command::new("python3");
    let output = python.args(["-c", script]).arg(path).uid(uid).gid(uid).current_dir("/").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A user who has nothing.
const NOBODY: u32 = 65534;

#[test]
fn another_user_cannot_read_the_token() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("another_user_cannot_read_the_token", "only root may become another user");
    }
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::GrpcRust, |options| options.size = 1).await;
        let environment = PathBuf::from(format!("/proc/{}/environ", subject.pids().await[0]));
        let reads = |uid| as_user(uid, "import sys; open(sys.argv[1], 'rb').read()", &environment);
        assert!(reads(0).0, "the host's own user can");
        let (succeeded, why) = reads(NOBODY);
        assert!(!succeeded && why.contains("PermissionError"), "{why}");
        subject.stop().await;
    });
}

#[test]
fn a_worker_keeps_its_token_from_what_it_starts() {
    for kind in [Kind::GrpcRust, Kind::GrpcPython] {
        if kind == Kind::GrpcPython && python_with_extras().is_none() {
            skipped("a_worker_keeps_its_token in Python", "a virtual environment with grpcio");
            continue;
        }
        on_both_runtimes(|| async {
            let subject = Subject::start_with(kind, |options| options.size = 1).await;
            for (name, expected) in [("PATH", true), ("SNAKEPIT_GRPC_TOKEN", false)] {
                let inherited: bool = subject.pit.call("inherited", &json!({ "name": name })).await.unwrap();
                assert_eq!(inherited, expected, "{name} of {kind:?}");
            }
            subject.stop().await;
        });
    }
}

#[test]
fn a_worker_of_another_user_is_reached_by_a_port_and_not_by_a_socket() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a_worker_of_another_user_is_reached_by_a_port", "only root may become another user");
    }
    on_both_runtimes(|| async {
        // Where anybody may run it.
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let program = folder.path().join("worker");
        std::fs::copy(stub(), &program).unwrap();
        let nobody = UserIds { uid: NOBODY, gid: NOBODY, groups: Vec::new() };
        let adapter = |mark: &Mark| {
            let adapter = GrpcAdapter::new(&program).cwd("/").user(nobody.clone());
            adapter.env(Mark::VARIABLE, mark.value())
        };
        let mark = Mark::new();
        let refused = Subject::start_adapter(adapter(&mark), mark, |options| options.size = 1).await;
        let why = refused.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(why.contains("use GrpcAdapter::tcp"), "{why}");
        refused.stop().await;

        let mark = Mark::new();
        let adapter = adapter(&mark).tcp();
        let subject = Subject::start_adapter(adapter, mark, |options| options.size = 1).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        let process = format!("/proc/{}", subject.pids().await[0]);
        assert_eq!(std::fs::metadata(process).unwrap().uid(), NOBODY);
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
        let script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
        assert!(as_user(0, script, &socket).0, "the host's own user can");
        let (succeeded, why) = as_user(NOBODY, script, &socket);
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
