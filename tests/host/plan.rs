//! The command line of the host: what it runs, and how badly it behaves itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use snakepit_adapters::{ContainmentLevel, PoolConfig, PortAdapter, Snakepit, SnakepitBuilder, SpawnStep};

use crate::oracle::Mark;

/// What the host does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Holds one pit, and does what it is told.
    Hold,
    /// Starts, replaces and stops workers without end.
    Churn,
    /// Starts and stops a pit so many times, and says what that cost it.
    Cycles(u32),
    /// Starts a pit with ever fewer file descriptors left.
    Descriptors,
    /// Shuts a runtime down when no file descriptor is left.
    Exhausted,
    /// Shuts runtimes down under a pit, so many times at each moment.
    Runtimes(u32),
}

/// How the pit of mode `hold` is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartedOn {
    /// A task of the runtime.
    Task,
    /// A thread of the blocking pool.
    SpawnBlocking,
    /// A worker thread of the runtime that is handed over for a while.
    BlockInPlace,
}

/// Everything that the command line says.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// `--size N`: workers of each pool.
    pub(super) size: u16,
    /// `--grace MS`: how long a worker may take to leave.
    pub(super) grace: Duration,
    /// `--heap MB`: memory that the host has touched before it starts anything.
    pub(super) heap_mb: usize,
    /// `--spoiled`: TERM blocked, HUP ignored, a socket without close-on-exec, limits raised.
    pub(super) is_spoiled: bool,
    /// `--subreaper`: what loses its parent below the host becomes the host's child.
    pub(super) is_subreaper: bool,
    /// `--holds-int`: INT blocked, so that it can be seen to arrive.
    pub(super) holds_int: bool,
    /// `--on SPAWN`: which thread starts the pit.
    pub(super) started_on: StartedOn,
    /// `--keep-alive MS`: how long an idle thread of the blocking pool lives.
    pub(super) thread_keep_alive: Option<Duration>,
    /// `--halt STEP`: the first start of a worker that has done this step goes no further.
    pub(super) halts_after: Option<SpawnStep>,
    /// `--level tree`: a start that does not reach it is refused.
    pub(super) level: Option<ContainmentLevel>,
    /// `--on-signal MS`: TERM and INT shut the pit down within so long.
    pub(super) shutdown_budget: Option<Duration>,
    data_dir: PathBuf,
    mark: String,
    program: PathBuf,
    args: Vec<String>,
}

impl Plan {
    pub(super) fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = args.peekable();
        let mut plan = Self {
            mode: Mode::Hold,
            size: 2,
            grace: Duration::from_secs(5),
            heap_mb: 0,
            is_spoiled: false,
            is_subreaper: false,
            holds_int: false,
            started_on: StartedOn::Task,
            thread_keep_alive: None,
            halts_after: None,
            level: None,
            shutdown_budget: None,
            data_dir: PathBuf::new(),
            mark: String::new(),
            program: PathBuf::new(),
            args: Vec::new(),
        };
        while let Some(flag) = args.next_if(|arg| arg.starts_with("--")) {
            let mut value = || args.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--mode" => plan.mode = mode(&value()?)?,
                "--size" => plan.size = number(&value()?)?,
                "--grace" => plan.grace = Duration::from_millis(number(&value()?)?),
                "--heap" => plan.heap_mb = number(&value()?)?,
                "--spoiled" => plan.is_spoiled = true,
                "--subreaper" => plan.is_subreaper = true,
                "--holds-int" => plan.holds_int = true,
                "--on" => plan.started_on = started_on(&value()?)?,
                "--keep-alive" => {
                    plan.thread_keep_alive = Some(Duration::from_millis(number(&value()?)?));
                }
                "--halt" => plan.halts_after = Some(step(&value()?)?),
                "--on-signal" => {
                    plan.shutdown_budget = Some(Duration::from_millis(number(&value()?)?));
                }
                "--level" => plan.level = Some(level(&value()?)?),
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        let mut next = |what: &str| args.next().ok_or(format!("{what} is missing"));
        plan.data_dir = next("DATA_DIR")?.into();
        plan.mark = next("MARK")?;
        plan.program = next("PROGRAM")?.into();
        plan.args = args.collect();
        Ok(plan)
    }

    /// The pit with one pool, in the data directory.
    pub(super) fn builder(&self) -> SnakepitBuilder {
        self.builder_in(&self.data_dir)
    }

    /// The same in a directory below the data directory.
    pub(super) fn builder_below(&self, name: &str) -> SnakepitBuilder {
        self.builder_in(&self.data_dir.join(name))
    }

    /// Where the registry is.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn builder_in(&self, data_dir: &Path) -> SnakepitBuilder {
        let adapter = PortAdapter::new(&self.program)
            .args(self.args.iter().cloned())
            .env(Mark::VARIABLE, self.mark.clone());
        let pool = PoolConfig::new("default", adapter).size(self.size).with(|options| {
            options.stop_grace = self.grace;
            // A worker that is killed again and again is replaced again and again: that is the test.
            options.restart.intensity = u32::MAX;
            options.restart.consecutive = u32::MAX;
            options.restart.backoff_base = Duration::from_millis(1);
            options.restart.backoff_max = Duration::from_millis(5);
        });
        let mut builder = Snakepit::builder().data_dir(data_dir).pool(pool);
        if let Some(level) = self.level {
            builder = builder.require_level(level);
        }
        if self.is_spoiled {
            builder = builder.raise_file_limit();
        }
        if let Some(last) = self.halts_after {
            builder = builder.observe_spawns(move |step| halt(step, last));
        }
        builder
    }
}

/// Goes no further after one step, and says so.
fn halt(step: SpawnStep, last: SpawnStep) {
    if step == last {
        println!("halted {step:?}");
        loop {
            std::thread::park();
        }
    }
}

fn step(text: &str) -> Result<SpawnStep, String> {
    let all = [
        SpawnStep::ShimSpawned,
        SpawnStep::HelloReceived,
        SpawnStep::IntentCommitted,
        SpawnStep::GoSent,
        SpawnStep::Started,
        SpawnStep::Activated,
    ];
    let found = all.into_iter().find(|step| format!("{step:?}") == text);
    found.ok_or_else(|| format!("unknown step {text}"))
}

fn level(text: &str) -> Result<ContainmentLevel, String> {
    let all = [ContainmentLevel::InProcess, ContainmentLevel::Tree, ContainmentLevel::Kernel];
    let found = all.into_iter().find(|level| level.to_string() == text);
    found.ok_or_else(|| format!("unknown level {text}"))
}

fn mode(text: &str) -> Result<Mode, String> {
    match text.split_once('=').unwrap_or((text, "")) {
        ("hold", _) => Ok(Mode::Hold),
        ("churn", _) => Ok(Mode::Churn),
        ("cycles", count) => Ok(Mode::Cycles(number(count)?)),
        ("descriptors", _) => Ok(Mode::Descriptors),
        ("exhausted", _) => Ok(Mode::Exhausted),
        ("runtimes", rounds) => Ok(Mode::Runtimes(number(rounds)?)),
        (unknown, _) => Err(format!("unknown mode {unknown}")),
    }
}

fn started_on(text: &str) -> Result<StartedOn, String> {
    match text {
        "task" => Ok(StartedOn::Task),
        "spawn_blocking" => Ok(StartedOn::SpawnBlocking),
        "block_in_place" => Ok(StartedOn::BlockInPlace),
        unknown => Err(format!("nothing is started on {unknown}")),
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
