//! The host: lines in, operations under way, signals, and the end.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use snakepit_core::{ShutdownReport, Snakepit, SnakepitBuilder, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::pit::answer::{self, Answers};
use crate::pit::input::{self, Input};
use crate::pit::operation::Work;
use crate::pit::request::{Asked, Line, LineId, Operation, SHUTDOWN_BUDGET};
use crate::pit::subscription::Subscription;
use crate::pit::under_way::UnderWay;

/// A signal promises an end within 10 s; this leaves room for the farewell.
const SIGNAL_BUDGET: Duration = Duration::from_secs(8);
/// How long a reader of stdout may take for the last lines after a signal.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How much may be under way. Beyond it no line is read until something is answered: a reader of stdout that does not
/// read stops the host's input, and not its memory.
const WORK_LIMIT: usize = 1 << 16;

/// A pit, and what is under way in it.
pub(crate) struct Host {
    pit: Snakepit,
    answers: Answers,
    /// Resolves when the last line has been written.
    writer: oneshot::Receiver<()>,
    work: JoinSet<()>,
    /// They end with the pit, and nobody waits for them before that.
    subscriptions: JoinSet<()>,
    under_way: UnderWay,
    signals: Signals,
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotStarted {
    #[error("signals cannot be listened to: {0}")]
    Signals(#[from] io::Error),
    #[error(transparent)]
    Pit(#[from] StartError),
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
    pub(crate) async fn start(builder: SnakepitBuilder) -> Result<Self, NotStarted> {
        let signals = Signals::listen()?;
        let pit = builder.start().await?;
        let (answers, writer) = Answers::start();
        let (work, subscriptions) = (JoinSet::new(), JoinSet::new());
        Ok(Self { pit, answers, writer, work, subscriptions, under_way: UnderWay::default(), signals })
    }

    /// Serves until the input ends, a signal comes, or a line asks for the end; then shuts down and says how it went.
    /// Fails where a signal came and nobody read the last lines.
    pub(crate) async fn run(mut self) -> ExitCode {
        let ending = match self.serve().await {
            Ending::InputEnded => self.finish_work().await,
            other => other,
        };
        let (budget, last_lines) = match ending {
            Ending::InputEnded => (SHUTDOWN_BUDGET, None),
            Ending::Asked { budget } => (budget, None),
            Ending::Signalled => (SIGNAL_BUDGET, Some(LAST_LINES)),
        };
        let report = self.shut_down(budget).await;
        let Self { answers, writer, mut work, mut subscriptions, mut signals, .. } = self;
        let last_lines_written = async move {
            // Whatever was under way has been told so by its pool.
            while work.join_next().await.is_some() {}
            // Subscribers hear of the end, and then of nothing more.
            while subscriptions.join_next().await.is_some() {}
            answers.say(json!({"shutdown": report})).await;
            drop(answers);
            // An error means that the writer has ended, too.
            let _ = writer.await;
        };
        let out_of_patience = async {
            match last_lines {
                Some(patience) => tokio::select! { () = sleep(patience) => {} () = signals.next() => {} },
                None => signals.next().await,
            }
        };
        tokio::select! {
            () = last_lines_written => ExitCode::SUCCESS,
            () = out_of_patience => ExitCode::FAILURE,
        }
    }

    async fn serve(&mut self) -> Ending {
        let mut lines = input::lines();
        loop {
            tokio::select! {
                () = self.signals.next() => return Ending::Signalled,
                Some(done) = self.work.join_next() => log_panic(done),
                Some(done) = self.subscriptions.join_next() => log_panic(done),
                line = lines.recv(), if self.work.len() + self.subscriptions.len() < WORK_LIMIT => match line {
                    None => return Ending::InputEnded,
                    Some(input) => if let Some(ending) = self.take(input) { return ending },
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
                    Some(done) => log_panic(done),
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

    fn take(&mut self, input: Input) -> Option<Ending> {
        let parsed = match input {
            Input::Line(line) if line.trim_ascii().is_empty() => return None,
            Input::Line(line) => Line::parse(&line),
            Input::TooLong => {
                self.refuse(None, "the line is too long");
                return None;
            }
        };
        match parsed {
            Err(bad) => {
                self.refuse(bad.id.filter(|id| !self.under_way.is_taken(id)).as_ref(), bad.message);
                None
            }
            // No id is given back: the answer under that id belongs to the request that is under way.
            Ok((id, _)) if self.under_way.is_taken(&id) => {
                self.refuse(None, format!("id {id} is in flight already"));
                None
            }
            Ok((id, Asked::Operation(operation))) => {
                self.begin(id, operation);
                None
            }
            Ok((id, Asked::Events { pool })) => {
                self.subscribe(id, pool.as_deref());
                None
            }
            Ok((id, Asked::Cancel { target })) => {
                let cancelled = self.under_way.cancel(&target);
                self.say(answer::ok_line(&id, &json!({"cancelled": cancelled})));
                None
            }
            Ok((id, Asked::Shutdown { budget })) => {
                self.say(answer::ok_line(&id, &json!({"shutting_down": true})));
                Some(Ending::Asked { budget })
            }
        }
    }

    fn begin(&mut self, id: LineId, operation: Operation) {
        let (taken, cancelled) = self.under_way.take(&id);
        let work = Work { pit: self.pit.clone(), answers: self.answers.clone(), id, taken, cancelled };
        self.work.spawn(work.run(operation));
    }

    /// Subscribes at once: what the next line brings about is heard.
    fn subscribe(&mut self, id: LineId, pool: Option<&str>) {
        let events = match pool.map(|pool| self.pit.pool(pool)) {
            None => self.pit.events(),
            Some(Ok(pool)) => pool.events(),
            Some(Err(error)) => {
                self.say(answer::error_line(&id, &answer::execute_error(&error)));
                return;
            }
        };
        let (taken, cancelled) = self.under_way.take(&id);
        let subscription = Subscription { events, answers: self.answers.clone(), id, taken, cancelled };
        self.subscriptions.spawn(subscription.run());
    }

    fn refuse(&mut self, id: Option<&LineId>, message: impl std::fmt::Display) {
        let error = answer::error("bad_request", message);
        self.say(id.map_or_else(|| json!({"error": error}), |id| answer::error_line(id, &error)));
    }

    /// Says a line, and does not wait for whoever reads stdout.
    fn say(&mut self, line: Value) {
        if let Some(line) = self.answers.say_at_once(line) {
            let answers = self.answers.clone();
            self.work.spawn(async move { answers.say(line).await });
        }
    }
}

fn log_panic(done: Result<(), JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "an operation did not end as it should");
    }
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
