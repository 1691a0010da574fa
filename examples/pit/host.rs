//! The host: lines in, operations under way, signals, and the end.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use snakepit_core::{ShutdownReport, Snakepit, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::pit::answer::{self, Answers};
use crate::pit::config::PitConfig;
use crate::pit::input::{self, Input};
use crate::pit::operation::Work;
use crate::pit::request::{Line, LineId, Operation, SHUTDOWN_BUDGET};

/// A signal promises an end within 10 s; this leaves room for the farewell.
const SIGNAL_BUDGET: Duration = Duration::from_secs(8);

/// A pit, and what is under way in it.
pub(crate) struct Host {
    pit: Snakepit,
    answers: Answers,
    writer: JoinHandle<()>,
    work: JoinSet<LineId>,
    /// How to cancel what is under way.
    cancels: HashMap<LineId, oneshot::Sender<()>>,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// What ended the work of the host.
enum Ending {
    InputEnded,
    Signalled,
    Asked { budget: Duration },
}

impl Host {
    pub(crate) async fn start(config: PitConfig) -> Result<Self, StartError> {
        let signals = Signals::listen()
            .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })?;
        let builder =
            config.pools.into_iter().fold(Snakepit::builder(), snakepit_core::SnakepitBuilder::pool);
        let pit = builder.data_dir(config.data_dir).start().await?;
        let (answers, writer) = Answers::start();
        Ok(Self { pit, answers, writer, work: JoinSet::new(), cancels: HashMap::new(), signals })
    }

    /// Serves until the input ends, a signal comes, or a line asks for the end; then shuts down and says how it went.
    pub(crate) async fn run(mut self) {
        let budget = match self.serve().await {
            Ending::InputEnded => match self.finish_work().await {
                Ending::Signalled => SIGNAL_BUDGET,
                Ending::InputEnded | Ending::Asked { .. } => SHUTDOWN_BUDGET,
            },
            Ending::Signalled => SIGNAL_BUDGET,
            Ending::Asked { budget } => budget,
        };
        let report = self.shut_down(budget).await;
        // Whatever was under way has been told so by its pool.
        while self.work.join_next().await.is_some() {}
        self.answers.say(json!({"shutdown": report})).await;
        drop(self.answers);
        let _ = self.writer.await;
    }

    async fn serve(&mut self) -> Ending {
        let mut lines = input::lines();
        loop {
            tokio::select! {
                () = self.signals.next() => return Ending::Signalled,
                Some(done) = self.work.join_next() => self.done(done),
                line = lines.recv() => match line {
                    None => return Ending::InputEnded,
                    Some(input) => if let Some(ending) = self.take(input).await { return ending },
                },
            }
        }
    }

    /// Lets everything that was accepted be answered; each within its own deadline.
    async fn finish_work(&mut self) -> Ending {
        loop {
            tokio::select! {
                () = self.signals.next() => return Ending::Signalled,
                done = self.work.join_next() => match done {
                    Some(done) => self.done(done),
                    None => return Ending::InputEnded,
                },
            }
        }
    }

    /// One shutdown; a second signal brings it forward.
    async fn shut_down(&mut self, budget: Duration) -> ShutdownReport {
        let pit = self.pit.clone();
        let orderly = pit.shutdown(budget);
        tokio::pin!(orderly);
        tokio::select! {
            report = &mut orderly => return report,
            () = self.signals.next() => {}
        }
        let (report, _) = tokio::join!(orderly, pit.shutdown(Duration::ZERO));
        report
    }

    async fn take(&mut self, input: Input) -> Option<Ending> {
        let parsed = match input {
            Input::Line(line) if line.trim_ascii().is_empty() => return None,
            Input::Line(line) => Line::parse(&line),
            Input::TooLong => {
                self.answers
                    .say(json!({"error": answer::error("bad_request", "the line is too long")}))
                    .await;
                return None;
            }
        };
        match parsed {
            Err(bad) => {
                let known = bad.id.filter(|id| !self.cancels.contains_key(id));
                let error = answer::error("bad_request", bad.message);
                match known {
                    Some(id) => self.answers.error(&id, error).await,
                    None => self.answers.say(json!({"error": error})).await,
                }
                None
            }
            // No id is given back: the answer under that id belongs to the request that is under way.
            Ok((id, _)) if self.cancels.contains_key(&id) => {
                let message = format!("id {id} is in flight already");
                self.answers.say(json!({"error": answer::error("bad_request", message)})).await;
                None
            }
            Ok((id, operation)) => self.begin(id, operation).await,
        }
    }

    async fn begin(&mut self, id: LineId, operation: Operation) -> Option<Ending> {
        match operation {
            Operation::Cancel { target } => {
                let cancelled = self.cancels.get_mut(&target).is_some_and(|cancel| {
                    let (spent, _) = oneshot::channel();
                    std::mem::replace(cancel, spent).send(()).is_ok()
                });
                self.answers.ok(&id, json!({"cancelled": cancelled})).await;
                None
            }
            Operation::Shutdown { budget } => {
                self.answers.ok(&id, json!({"shutting_down": true})).await;
                Some(Ending::Asked { budget })
            }
            operation => {
                let (cancel, cancelled) = oneshot::channel();
                self.cancels.insert(id.clone(), cancel);
                let work =
                    Work { pit: self.pit.clone(), answers: self.answers.clone(), id: id.clone(), cancelled };
                self.work.spawn(async move {
                    work.run(operation).await;
                    id
                });
                None
            }
        }
    }

    fn done(&mut self, done: Result<LineId, tokio::task::JoinError>) {
        match done {
            Ok(id) => {
                self.cancels.remove(&id);
            }
            Err(error) => tracing::error!(%error, "an operation did not end as it should"),
        }
    }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
