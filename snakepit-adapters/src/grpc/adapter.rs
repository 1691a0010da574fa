//! What a gRPC worker runs, and the way to reach it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(feature = "toml")]
use snakepit_core::Wire;
use snakepit_core::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_core::{ProcessSpec, ResourceLimit, TermTarget, UserIds, WorkerLife};

use crate::grpc::address::SocketDirectory;
use crate::grpc::open;
use crate::grpc::{ADDRESS, TOKEN, Token, WorkerAddress};
#[cfg(feature = "toml")]
use crate::port::PortAdapter;
use crate::program::{WorkerProgram, describe_program};

/// Workers that serve gRPC: for programs that are gRPC servers already, or whose language has no better way.
///
/// Each worker listens on a Unix socket in a directory that only the host's user can enter, below the data directory;
/// after [`tcp`](Self::tcp) on a port of this machine. It is told where by its environment, and serves only calls with
/// the token that it finds there, too, as `proto/grpc.md` says. A worker in Python needs `grpcio`, as the extra `grpc` of
/// `snakepit-worker` installs it.
///
/// ```
/// use snakepit_adapters::GrpcAdapter;
///
/// let python = GrpcAdapter::python("worker.py").env("MODEL", "small");
/// let any = GrpcAdapter::new("/usr/local/bin/worker").tcp();
/// # let _ = (python, any);
/// ```
#[derive(Clone, Debug)]
pub struct GrpcAdapter {
    program: WorkerProgram,
    listen: Listen,
    capacity: u16,
    connects: bool,
    /// What each life of a worker was told, until nothing is left of it.
    told: Arc<Mutex<ToldLives>>,
}

type ToldLives = HashMap<WorkerLife, (Told, Option<SocketDirectory>)>;

/// Where workers are asked to listen.
#[derive(Clone, Copy, Debug)]
enum Listen {
    UnixSocket,
    Loopback,
}

/// What one life of a worker was told about how it will be reached.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) address: WorkerAddress,
    pub(super) token: Token,
    /// How many requests it runs at once, where it cannot say so itself.
    pub(super) capacity: u16,
    /// Whether it is asked for Connect.
    pub(super) connects: bool,
}

impl GrpcAdapter {
    /// Workers that run `program`: a path, or a name that is looked up in the host's `PATH`.
    ///
    /// A relative path with a slash counts from the host's current directory at this moment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self::over(WorkerProgram::new(program))
    }

    /// Workers that run a Python script with the `python3` of the host's `PATH`.
    ///
    /// A relative script counts from [`cwd`](Self::cwd) where one is set, otherwise from the host's current directory
    /// at this moment.
    pub fn python(script: impl Into<PathBuf>) -> Self {
        Self::over(WorkerProgram::python(script))
    }

    fn over(program: WorkerProgram) -> Self {
        Self { program, listen: Listen::UnixSocket, capacity: 1, connects: true, told: Arc::default() }
    }

    /// The program of another adapter, over gRPC.
    #[cfg(feature = "toml")]
    pub(crate) fn running(described: PortAdapter) -> Self {
        let mut program = described.program;
        program.asked.wire = Wire::Pipes;
        Self::over(program)
    }

    /// Lets workers listen on a port of 127.0.0.1 in place of a Unix socket. Every user of the machine can reach it, and
    /// none is served without the token. The worker chooses the port, and says which.
    ///
    /// For a worker that runs as another [`user`](Self::user), which cannot enter the host's directories, and for a data
    /// directory whose name leaves no room for that of a socket.
    pub fn tcp(mut self) -> Self {
        self.listen = Listen::Loopback;
        self
    }

    /// How many requests a worker runs at once that does not offer Connect, on which it would say so itself; at least 1.
    /// Default 1.
    pub fn capacity(mut self, capacity: u16) -> Self {
        self.capacity = capacity.max(1);
        self
    }

    /// Asks workers by calls, also those that offer Connect: slower, and for seeing on the way, with the tools that there are
    /// for gRPC, what is asked and what is answered. A call carries neither progress nor a worker's wish to be replaced, and
    /// what a worker logs goes to its stderr.
    pub fn by_calls(mut self) -> Self {
        self.connects = false;
        self
    }

    describe_program!();

    fn told(&self) -> MutexGuard<'_, ToldLives> {
        // Nothing under this lock can panic half-way.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes up what the next life of a worker is told.
    fn tell(&self, data_dir: &Path) -> Result<(Told, Option<SocketDirectory>), AdapterFailure> {
        let random = || {
            Token::new().map_err(|error| AdapterFailure::Failed { what: format!("no randomness: {error}") })
        };
        let token = random()?;
        let (capacity, connects) = (self.capacity, self.connects);
        match self.listen {
            Listen::Loopback => {
                let address = WorkerAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
                Ok((Told { address, token, capacity, connects }, None))
            }
            Listen::UnixSocket if self.program.asked.user.is_some() => {
                let what =
                    "a worker of another user cannot enter the directory of its socket: use GrpcAdapter::tcp";
                Err(AdapterFailure::Failed { what: what.into() })
            }
            Listen::UnixSocket => {
                let name = &random()?.as_str()[..12].to_owned();
                let directory = SocketDirectory::new(&self.program.absolute(data_dir), name)?;
                let address = WorkerAddress::Unix(directory.socket());
                Ok((Told { address, token, capacity, connects }, Some(directory)))
            }
        }
    }
}

impl Adapter for GrpcAdapter {
    fn name(&self) -> &'static str {
        "grpc"
    }

    fn prepare(&self, data_dir: &Path) -> Result<(), AdapterFailure> {
        SocketDirectory::sweep(data_dir).map_err(|error| AdapterFailure::Failed {
            what: format!("the sockets of an earlier host cannot be removed: {error}"),
        })?;
        WorkerProgram::prepare(data_dir)
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        let mut spec = self.program.spec(worker, "grpc")?;
        let (told, directory) = self.tell(&worker.data_dir)?;
        spec.env.insert(ADDRESS.into(), told.address.to_text().into());
        spec.env.insert(TOKEN.into(), told.token.as_str().into());
        self.told().insert(worker.life.clone(), (told, directory));
        Ok(Some(spec))
    }

    fn on_gone(&self, worker: &WorkerContext) {
        let told = self.told().remove(&worker.life);
        // Its directory is removed here, and not under the lock.
        drop(told);
    }

    fn connect(&self, connect: Connect) -> Connecting {
        let told = self.told().get(&connect.life).map(|(told, _)| told.clone());
        Box::pin(async move {
            let told = told.ok_or_else(|| AdapterFailure::Failed {
                what: "the worker's process was not described by this adapter".into(),
            })?;
            open::open(told, connect).await
        })
    }
}
