//! A line of input, understood.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use snakepit_core::{Affinity, Payload, Progress, ProgressReceiver, Request, SessionId, Slot};

use crate::pit::change::Change;

/// The caller's name for its request: a number or a text, given back as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct LineId(Value);

/// One line of input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    id: Value,
    op: String,
    pool: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Value,
    session: Option<String>,
    timeout_ms: Option<u64>,
    affinity: Option<Affinity>,
    #[serde(default)]
    idempotent: bool,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    traceparent: Option<String>,
    /// Whether what the worker tells of its progress is wanted.
    #[serde(default)]
    progress: bool,
    size: Option<u16>,
    worker: Option<String>,
    target: Option<Value>,
}

/// What a line asks for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and most are the large ones")]
pub(crate) enum Asked {
    /// Something that takes time, and can be cancelled meanwhile.
    Operation(Operation),
    /// Something that never ends by itself.
    Events {
        pool: Option<String>,
    },
    Cancel {
        target: LineId,
    },
    Shutdown {
        budget: Duration,
    },
}

/// What is asked of the pit.
#[derive(Debug)]
pub(crate) enum Operation {
    Execute { pool: Option<String>, request: Request, progress: Option<ProgressReceiver> },
    Stream { pool: Option<String>, request: Request, progress: Option<ProgressReceiver> },
    Change { pool: Option<String>, change: Change },
    Stats { pool: Option<String> },
    Workers { pool: Option<String> },
    Health { pool: Option<String> },
    Explain { pool: String, slot: Slot },
    Tree,
    AwaitReady { pool: Option<String>, patience: Duration },
}

/// Why a line cannot be carried out, and whom it came from, as far as that can be read.
#[derive(Debug)]
pub(crate) struct BadLine {
    pub(crate) id: Option<LineId>,
    pub(crate) message: String,
}

/// What can be asked for.
const OPERATIONS: [&str; 17] = [
    "execute",
    "stream",
    "cancel",
    "end_session",
    "resize",
    "recycle",
    "rolling_restart",
    "drain",
    "resume",
    "stats",
    "workers",
    "health",
    "explain",
    "events",
    "tree",
    "await_ready",
    "shutdown",
];
/// How long `await_ready` and `drain` wait where the line does not say.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a shutdown may take where the line does not say.
pub(crate) const SHUTDOWN_BUDGET: Duration = Duration::from_secs(10);

impl LineId {
    fn new(value: Value) -> Result<Self, String> {
        if value.is_number() || value.is_string() {
            Ok(Self(value))
        } else {
            Err("id must be a number or a text".to_owned())
        }
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Line {
    /// Reads a line.
    pub(crate) fn parse(line: &[u8]) -> Result<(LineId, Asked), BadLine> {
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| BadLine { id: None, message: format!("not a JSON object: {error}") })?;
        if !value.is_object() {
            return Err(BadLine { id: None, message: "not a JSON object".to_owned() });
        }
        let id = value.get("id").cloned().and_then(|id| LineId::new(id).ok());
        let bad = |message: String| BadLine { id: id.clone(), message };
        let line: Self = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
        let id = LineId::new(line.id.clone()).map_err(bad)?;
        let asked = line.asked().map_err(|message| BadLine { id: Some(id.clone()), message })?;
        Ok((id, asked))
    }

    fn asked(self) -> Result<Asked, String> {
        let timeout = self.timeout_ms.map(Duration::from_millis);
        let pool = self.pool.clone();
        let operation = match self.op.as_str() {
            "execute" => {
                let (request, progress) = self.request()?;
                Operation::Execute { pool, request, progress }
            }
            "stream" => {
                let (request, progress) = self.request()?;
                Operation::Stream { pool, request, progress }
            }
            "end_session" => {
                let session = session(&self.session.ok_or("session is missing")?)?;
                Operation::Change { pool, change: Change::EndSession { session } }
            }
            "resize" => {
                let size = self.size.ok_or("size is missing")?;
                Operation::Change { pool, change: Change::Resize { size } }
            }
            "recycle" => {
                let (pool, slot) = worker(&self.worker.ok_or("worker is missing")?, pool)?;
                Operation::Change { pool: Some(pool), change: Change::Recycle { slot } }
            }
            "rolling_restart" => Operation::Change { pool, change: Change::RollingRestart },
            "drain" => {
                let patience = timeout.unwrap_or(PATIENCE);
                Operation::Change { pool, change: Change::Drain { patience } }
            }
            "resume" => Operation::Change { pool, change: Change::Resume },
            "stats" => Operation::Stats { pool },
            "workers" => Operation::Workers { pool },
            "health" => Operation::Health { pool },
            "explain" => {
                let (pool, slot) = worker(&self.worker.ok_or("worker is missing")?, pool)?;
                Operation::Explain { pool, slot }
            }
            "tree" => Operation::Tree,
            "await_ready" => Operation::AwaitReady { pool, patience: timeout.unwrap_or(PATIENCE) },
            "events" => return Ok(Asked::Events { pool }),
            "cancel" => {
                let target = self.target.ok_or("target is missing")?;
                let target = LineId::new(target).map_err(|error| format!("target: {error}"))?;
                return Ok(Asked::Cancel { target });
            }
            "shutdown" => return Ok(Asked::Shutdown { budget: timeout.unwrap_or(SHUTDOWN_BUDGET) }),
            other => return Err(format!("op {other:?} is not known; there are {}", OPERATIONS.join(", "))),
        };
        Ok(Asked::Operation(operation))
    }

    /// The request, and where its progress comes out, if somebody wants it.
    fn request(self) -> Result<(Request, Option<ProgressReceiver>), String> {
        let command = self.command.ok_or("command is missing")?;
        let payload = Payload::json(&self.args).map_err(|error| error.to_string())?;
        let mut request = Request::new(command, payload);
        if let Some(name) = self.session {
            request = request.session(session(&name)?);
        }
        if let Some(timeout) = self.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout));
        }
        if let Some(affinity) = self.affinity {
            request = request.affinity(affinity);
        }
        if self.idempotent {
            request = request.idempotent();
        }
        if let Some(traceparent) = self.traceparent {
            request = request.traceparent(traceparent);
        }
        for (key, value) in self.metadata {
            request = request.metadata(key, value);
        }
        if !self.progress {
            return Ok((request, None));
        }
        let (sender, progress) = Progress::channel();
        Ok((request.progress(sender), Some(progress)))
    }
}

fn session(name: &str) -> Result<SessionId, String> {
    SessionId::new(name).map_err(|error| error.to_string())
}

/// A worker by its id, such as `default/0`; the pool may be named beside it, and is then the same.
fn worker(id: &str, pool: Option<String>) -> Result<(String, Slot), String> {
    let parts = id.split_once('/').and_then(|(pool, slot)| Some((pool, slot.parse().ok()?)));
    let (named, slot) = parts.ok_or_else(|| format!("worker {id:?} is not POOL/SLOT"))?;
    match pool {
        Some(pool) if pool != named => Err(format!("worker {id:?} is not in pool {pool:?}")),
        _ => Ok((named.to_owned(), Slot(slot))),
    }
}
