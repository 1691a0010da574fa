//! The host's end of one life of a worker: what is asked of it, and what it tells.

mod loss;
mod streams;

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorRef};
use serde_json::Value;
use snakepit_core::adapter::{AdapterMessage, AdapterReports, Connect, Connected, Outcome, WorkerContext};
use snakepit_core::testkit::TestProcess;
use snakepit_core::{Deadline, Payload, ProcessExit, Request, RequestId, WorkerErrorKind};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings, demand};
pub(super) use crate::contract::host::loss::last_words;
use crate::contract::sink::{Sink, Supervisor, Told};

/// How a life begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) payload_limit: usize,
    pub(super) wants_started: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { payload_limit: 64 << 20, wants_started: false }
    }
}

/// One life of a worker, from its start until this is dropped. Its process, if it has one, ends with it.
pub(super) struct Host<'a> {
    examination: &'a Examination,
    context: WorkerContext,
    pub(super) connected: Connected,
    pub(super) process: Option<TestProcess>,
    supervisor: ActorRef<()>,
    told: mpsc::UnboundedReceiver<Told>,
    signs_of_life: watch::Receiver<u64>,
    /// What came while something else was waited for.
    outcomes: HashMap<u64, Outcome>,
    /// Why its adapter actor has ended, once it has.
    ended: Option<String>,
    pub(super) started: Vec<u64>,
    asked: u64,
}

impl<'a> Host<'a> {
    /// A worker that is ready for requests.
    pub(super) async fn start(examination: &'a Examination) -> Findings<Self> {
        Self::start_on(examination, Terms::default()).await
    }

    pub(super) async fn start_on(examination: &'a Examination, terms: Terms) -> Findings<Self> {
        let context = examination.next_life()?;
        let (process, pipes) = match examination.adapter.process_spec(&context).map_err(Finding::broken)? {
            Some(spec) => {
                let started = examination.launchpad.start(spec, &context.life).await;
                let (process, pipes) = started.map_err(Finding::broken)?;
                (Some(process), pipes)
            }
            None => (None, None),
        };
        let (sender, told) = mpsc::unbounded_channel();
        let (signs, signs_of_life) = watch::channel(0);
        let supervisor = Actor::spawn(None, Supervisor(sender.clone()), ()).await.map_err(Finding::broken)?.0;
        let connect = Connect {
            life: context.life.clone(),
            pipes,
            reports: AdapterReports::new(Arc::new(Sink { told: sender, signs_of_life: signs })),
            payload_limit: terms.payload_limit,
            wants_started: terms.wants_started,
            supervisor: supervisor.get_cell(),
        };
        let connected = match timeout(examination.patience, examination.adapter.connect(connect)).await {
            Ok(Ok(connected)) => connected,
            failed => {
                supervisor.stop(None);
                let why = failed.map_or("it is not ready in time".to_owned(), |failed| {
                    failed.err().map(|failure| failure.to_string()).unwrap_or_default()
                });
                return Err(Finding::broken(why + &last_words(process.as_ref())));
            }
        };
        Ok(Self {
            examination,
            context,
            connected,
            process,
            supervisor,
            told,
            signs_of_life,
            outcomes: HashMap::new(),
            ended: None,
            started: Vec::new(),
            asked: 0,
        })
    }

    pub(super) fn tell(&self, message: AdapterMessage) {
        // An adapter that has ended says so itself.
        let _ = self.connected.adapter.cast(message);
    }

    pub(super) fn ask(&mut self, request: Request) -> u64 {
        self.asked += 1;
        let (id, deadline) = (RequestId(self.asked), self.deadline());
        self.tell(AdapterMessage::Execute { id, request, deadline });
        self.asked
    }

    /// Asks for a command of section 13.
    pub(super) fn ask_test(&mut self, command: &str, args: &Value) -> Findings<u64> {
        Ok(self.ask(test_request(command, args)?))
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(Instant::now(), self.examination.patience * 4)
    }

    pub(super) fn cancel(&self, id: u64) {
        self.tell(AdapterMessage::Cancel { id: RequestId(id) });
    }

    /// How a request ends. A command that the worker does not have is one that it does not offer.
    pub(super) async fn outcome(&mut self, id: u64) -> Findings<Outcome> {
        loop {
            if let Some(outcome) = self.outcomes.remove(&id) {
                return Ok(outcome);
            }
            self.hear(&format!("request {id}"), "is not answered").await?;
        }
    }

    /// Waits until the adapter actor has ended. Answers that come before are kept.
    pub(super) async fn wire_ended(&mut self) -> Findings {
        while self.ended.is_none() {
            self.hear("the wire", "does not end").await?;
        }
        Ok(())
    }

    /// The answer to a request, if it has come by now.
    pub(super) fn outcome_so_far(&mut self, id: u64) -> Option<Outcome> {
        self.outcomes.remove(&id)
    }

    /// Waits for something that the worker tells, and keeps it. Once it is lost, it tells nothing more.
    async fn hear(&mut self, what: &str, otherwise: &str) -> Findings {
        if self.ended.is_some() {
            return Err(self.lost(what).await);
        }
        match timeout(self.examination.patience, self.told.recv()).await {
            Ok(Some(told)) => self.keep(told),
            Ok(None) | Err(_) => Err(self.waited_in_vain(what, otherwise).await),
        }
    }

    fn keep(&mut self, told: Told) -> Findings {
        match told {
            Told::Started(id) => self.started.push(id),
            Told::Finished(id, outcome) => {
                let twice = self.outcomes.insert(id, outcome).is_some();
                demand(!twice && id <= self.asked, format_args!("a second answer to request {id}"))?;
            }
            Told::Ended(failure) => {
                let why = failure.map_or("its adapter ended".to_owned(), |failure| failure.to_string());
                self.ended = Some(why);
            }
        }
        Ok(())
    }

    /// The payload with which a request is answered.
    pub(super) async fn answer(&mut self, id: u64) -> Findings<Payload> {
        match self.outcome(id).await? {
            Outcome::Answered(payload) => Ok(payload),
            Outcome::Failed(error) if error.kind == WorkerErrorKind::UnknownCommand => {
                Err(Finding::not_offered(error.message))
            }
            other => Err(Finding::broken(format_args!("request {id} ends in {other:?}, not in an answer"))),
        }
    }

    /// The kind of failure in which a request ends.
    pub(super) async fn failure(&mut self, id: u64) -> Findings<WorkerErrorKind> {
        match self.outcome(id).await? {
            Outcome::Failed(error) => Ok(error.kind),
            other => Err(Finding::broken(format_args!("request {id} ends in {other:?}, not in an error"))),
        }
    }

    /// Breaks the rule unless the command is there.
    pub(super) async fn must_offer(&mut self, command: &str, args: &Value) -> Findings {
        let id = self.ask_test(command, args)?;
        self.answer(id).await.map(drop)
    }

    /// Pings, and waits for a sign of life.
    pub(super) async fn ping(&mut self) -> Findings {
        self.signs_of_life.mark_unchanged();
        self.tell(AdapterMessage::Ping);
        self.sign_of_life().await
    }

    pub(super) async fn sign_of_life(&mut self) -> Findings {
        match timeout(self.examination.patience, self.signs_of_life.changed()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.why_silent().await),
        }
    }

    /// The worker answers as if nothing had been.
    pub(super) async fn serves_on(&mut self) -> Findings {
        let id = self.ask(Request::new(NO_COMMAND, Payload::bytes("")));
        match self.failure(id).await? {
            WorkerErrorKind::UnknownCommand => Ok(()),
            other => Err(Finding::broken(format_args!("an unknown command ends in {other:?} afterwards"))),
        }
    }

    /// Does what the death of a host does to its end of the wire.
    pub(super) fn die(&self) {
        self.connected.adapter.get_cell().kill();
    }

    /// Waits for the worker's process to leave with code 0. Without a process there is nothing to wait for.
    pub(super) async fn leaves(&self) -> Findings {
        let Some(process) = &self.process else { return Ok(()) };
        match process.ended(self.examination.patience).await {
            Some(ProcessExit::Code(0)) => Ok(()),
            Some(exit) => {
                let words = last_words(Some(process));
                Err(Finding::broken(format_args!("its process {exit}, and not with code 0{words}")))
            }
            None => Err(Finding::broken("its process does not leave")),
        }
    }

    /// The worker's process, for a rule that is about processes.
    pub(super) fn process(&self) -> Findings<&TestProcess> {
        self.process.as_ref().ok_or_else(|| Finding::not_offered("it has no process"))
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        self.connected.adapter.get_cell().kill();
        self.supervisor.stop(None);
        if self.process.take().is_some() {
            self.examination.adapter.on_gone(&self.context);
        }
    }
}

/// A command that no worker has.
pub(super) const NO_COMMAND: &str = "snakepit.test.no-such-command";

/// A request for a command of section 13.
pub(super) fn test_request(command: &str, args: &Value) -> Findings<Request> {
    let payload = Payload::json(args).map_err(Finding::broken)?;
    Ok(Request::new(format!("snakepit.test.{command}"), payload))
}
