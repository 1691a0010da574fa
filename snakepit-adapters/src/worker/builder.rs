//! What a worker offers, put together command by command.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use snakepit_core::Payload;

use crate::port::frame::{Kind, PROTOCOL, Ready, STARTED};
use crate::worker::chunks::Chunks;
use crate::worker::command::{self, Commands, Handler};
use crate::worker::conformance;
use crate::worker::context::Context;
use crate::worker::crew::{Crew, Terms};
use crate::worker::error::CommandResult;
use crate::worker::intake::{Intake, ReadEnd};
use crate::worker::output::Output;
use crate::worker::process::{self, StartFailure};
use crate::worker::wire::{FromHost, ToHost};

/// A worker that is being put together.
pub struct Worker {
    commands: Commands,
    capacity: Option<u16>,
    threads: u16,
    agent: String,
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker {
    /// A worker without commands that runs one request at a time.
    pub fn new() -> Self {
        Self {
            commands: Commands::default(),
            capacity: None,
            threads: 1,
            agent: concat!("snakepit-worker-rust/", env!("CARGO_PKG_VERSION")).into(),
        }
    }

    /// Adds a command that answers once. Its arguments are JSON, or MessagePack with the feature `msgpack`, and it answers
    /// as it is asked: a struct takes an object or an array, a tuple an array, `()` and `Option` take none.
    pub fn command<A, R>(
        self,
        name: impl Into<String>,
        run: impl Fn(&Context, A) -> CommandResult<R> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
    {
        self.raw_command(name, move |context, payload| {
            let encoding = command::answer_encoding(&payload);
            command::result(&run(context, command::arguments(&payload)?)?, encoding)
        })
    }

    /// Adds a command that answers once, and takes and gives bytes as they are.
    pub fn raw_command(
        mut self,
        name: impl Into<String>,
        run: impl Fn(&Context, Payload) -> CommandResult<Payload> + Send + Sync + 'static,
    ) -> Self {
        self.commands.insert(name.into(), Handler::Answer(Box::new(run)));
        self
    }

    /// Adds a command that answers with a stream. Its arguments are as in [`command`](Self::command).
    pub fn stream<A: DeserializeOwned>(
        self,
        name: impl Into<String>,
        run: impl Fn(&Context, A, &mut Chunks<'_>) -> CommandResult<()> + Send + Sync + 'static,
    ) -> Self {
        self.raw_stream(name, move |context, payload, chunks| {
            run(context, command::arguments(&payload)?, chunks)
        })
    }

    /// Adds a command that answers with a stream, and takes bytes as they are.
    pub fn raw_stream(
        mut self,
        name: impl Into<String>,
        run: impl Fn(&Context, Payload, &mut Chunks<'_>) -> CommandResult<()> + Send + Sync + 'static,
    ) -> Self {
        self.commands.insert(name.into(), Handler::Stream(Box::new(run)));
        self
    }

    /// Runs up to so many requests at once, each on a thread of its own; at least 1.
    ///
    /// Default 1: a request is then run by the thread that reads it, without a hand-over.
    pub fn threads(mut self, threads: u16) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How many requests the host may send before the first is answered; at least 1.
    ///
    /// Default: as many as there are threads. More of them wait in the worker, which saves short commands the way to
    /// the host and back between two requests.
    pub fn capacity(mut self, capacity: u16) -> Self {
        self.capacity = Some(capacity.max(1));
        self
    }

    /// Says what the worker is, in place of `snakepit-worker-rust/` and this crate's version.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// Serves the host that started this process, and ends the process as the worker contract says: with code 0 when
    /// the host is gone, after Drain, or after SIGTERM and the end of what runs.
    ///
    /// To be called from `main`, before any other thread is started: SIGTERM and SIGINT are taken over for threads
    /// that start from here on. Without a host it prints what the worker offers. With `--conformance` among the program's
    /// arguments it offers the commands that a worker is checked by, too.
    pub fn serve(self) -> ! {
        let is_checked = std::env::args_os().any(|argument| argument == "--conformance");
        process::serve(if is_checked { conformance::offer(self) } else { self })
    }

    /// Serves a host over two pipes without taking the process over, until the host is gone or breaks the contract, and
    /// says with which code the process would leave. For tests; see [`serve`](Self::serve).
    #[cfg(feature = "testkit")]
    pub fn serve_on(self, from_host: std::os::fd::OwnedFd, to_host: std::os::fd::OwnedFd) -> i32 {
        process::serve_on(self, from_host.into(), to_host.into())
    }

    /// The names of what the worker offers, for a person.
    pub(super) fn offer(&self) -> String {
        let offered: Vec<String> = self
            .commands
            .infos()
            .into_iter()
            .map(|info| if info.stream { format!("{} (a stream)", info.name) } else { info.name })
            .collect();
        offered.join(", ")
    }

    /// Waits for the host's greeting, answers it, and starts the threads that serve the host.
    pub(super) fn start(self, from_host: FromHost, to_host: ToHost) -> Result<Arc<Crew>, StartFailure> {
        self.await_greeting(from_host, to_host)?.begin()
    }

    /// Waits for the host's greeting. It is not answered yet.
    pub(super) fn await_greeting(
        self,
        from_host: FromHost,
        to_host: ToHost,
    ) -> Result<Greeted, StartFailure> {
        let mut intake = Intake::new(from_host);
        let output = Output::new(to_host);
        let hello = intake.hello().map_err(|end| match end {
            ReadEnd::HostGone => StartFailure::HostGone,
            ReadEnd::Breach(error) => StartFailure::HostBrokeContract(format!("{}: {error}", error.word())),
        })?;
        if !hello.protocol.contains(&PROTOCOL) {
            return Err(StartFailure::NoCommonVersion { offered: hello.protocol });
        }
        let tells_started = hello.features.iter().any(|feature| feature == STARTED);
        let ready = Ready {
            protocol: PROTOCOL,
            features: tells_started.then(|| STARTED.to_owned()).into_iter().collect(),
            capacity: self.capacity.unwrap_or(self.threads),
            agent: self.agent,
            commands: self.commands.infos(),
        };
        let payload_limit = usize::try_from(hello.payload_limit).unwrap_or(usize::MAX);
        let threads = usize::from(self.threads);
        let terms = Terms { threads, payload_limit, tells_started };
        Ok(Greeted { crew: Arc::new(Crew::new(self.commands, terms, intake, output)), ready, threads })
    }
}

/// A worker that its host has greeted, and that has not said a word.
#[must_use = "a host that is not answered waits"]
pub(super) struct Greeted {
    crew: Arc<Crew>,
    ready: Ready,
    threads: usize,
}

impl Greeted {
    /// Who must know it to tell the worker to leave must know it before it begins: from then on there may be something to finish.
    pub(super) fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    /// Says that it is ready, and starts the threads.
    pub(super) fn begin(self) -> Result<Arc<Crew>, StartFailure> {
        let Self { crew, ready, threads } = self;
        // Before anybody reads, so that no Pong overtakes it.
        let body = serde_json::to_vec(&ready).expect("texts and numbers have a JSON form");
        crew.send(Kind::Ready, 0, &body);
        // One more than there are commands at once: it reads.
        for number in 0..=threads {
            let crew = Arc::clone(&crew);
            let thread = std::thread::Builder::new().name(format!("snakepit-{number}"));
            thread.spawn(move || crew.work()).map_err(StartFailure::NoThread)?;
        }
        Ok(crew)
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("commands", &self.offer())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
