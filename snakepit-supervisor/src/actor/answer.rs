//! Requests and their answers: which caller waits for what, and what the core's answer means to it.

use std::collections::HashMap;

use ractor::ActorCell;
use tokio::sync::oneshot;

use crate::actor::message::Request;
use crate::actor::shell::Shell;
use crate::core::message::{Call, Caller, Event, Refusal, Reply, Target};
use crate::error::{DeleteChildError, RestartChildError, StartChildError, StartFailure, TerminateChildError};
use crate::handle::{ChildTarget, StartedChild};

/// Those who wait for answers.
#[derive(Default)]
pub(super) struct Callers {
    waiting: HashMap<Caller, Answer>,
    next: u64,
}

impl Callers {
    fn expect(&mut self, answer: Answer) -> Caller {
        let caller = Caller(self.next);
        self.next += 1;
        self.waiting.insert(caller, answer);
        caller
    }

    fn take(&mut self, caller: Caller) -> Option<Answer> {
        self.waiting.remove(&caller)
    }
}

/// Who waits for the answer to a request.
enum Answer {
    Start(oneshot::Sender<Result<Option<StartedChild>, StartChildError>>),
    Terminate(oneshot::Sender<Result<(), TerminateChildError>>),
    Restart(oneshot::Sender<Result<Option<StartedChild>, RestartChildError>>),
    Delete(oneshot::Sender<Result<(), DeleteChildError>>),
}

impl Shell {
    pub(super) fn serve(&mut self, request: Request) {
        let (call, answer) = match request {
            Request::Start { spec, reply } => {
                let key = self.new_key();
                let settings = spec.settings.clone();
                self.seats.insert(key, *spec);
                (Call::Start { key, settings }, Answer::Start(reply))
            }
            Request::Terminate { target, reply } => {
                let target = match target {
                    ChildTarget::Id(id) => Target::Id(id),
                    ChildTarget::Cell(cell) => {
                        let Some(key) = self.seats.of_actor(cell.get_id()) else {
                            _ = reply.send(Err(TerminateChildError::NotFound));
                            return;
                        };
                        Target::Key(key)
                    }
                };
                (Call::Terminate { target }, Answer::Terminate(reply))
            }
            Request::Restart { id, reply } => (Call::Restart { id }, Answer::Restart(reply)),
            Request::Delete { id, reply } => (Call::Delete { id }, Answer::Delete(reply)),
        };
        let caller = self.callers.expect(answer);
        self.step(Event::Called { call, caller });
    }

    /// An asker may have given up waiting; that is not our failure.
    pub(super) fn reply(&mut self, caller: Caller, reply: Reply) {
        let Some(answer) = self.callers.take(caller) else { return };
        match answer {
            Answer::Start(port) => _ = port.send(self.started(reply).map_err(StartChildError::from)),
            Answer::Restart(port) => _ = port.send(self.started(reply).map_err(RestartChildError::from)),
            Answer::Terminate(port) => _ = port.send(done(reply).map_err(TerminateChildError::from)),
            Answer::Delete(port) => _ = port.send(done(reply).map_err(DeleteChildError::from)),
        }
    }

    fn started(&self, reply: Reply) -> Result<Option<StartedChild>, Refused> {
        match reply {
            Reply::Started { life } => {
                let seat = self.seats.get(life.key);
                let cell = seat.and_then(|seat| seat.cell.clone()).ok_or(Refused::Here(Refusal::Stopping))?;
                Ok(Some(StartedChild { cell, info: seat.and_then(|seat| seat.info.clone()) }))
            }
            Reply::Refused(Refusal::AlreadyStarted { life }) => {
                let running = self.seats.get(life.key).and_then(|seat| seat.cell.clone());
                Err(running.map_or(Refused::Here(Refusal::AlreadyPresent), Refused::Running))
            }
            Reply::Refused(Refusal::Failed(StartFailure::NameTaken { name })) => {
                let holder = ractor::registry::where_is(&name);
                let failed = Refused::Here(Refusal::Failed(StartFailure::NameTaken { name }));
                Err(holder.map_or(failed, Refused::Running))
            }
            Reply::Refused(refusal) => Err(Refused::Here(refusal)),
            Reply::Ignored | Reply::Terminated | Reply::Deleted => Ok(None),
        }
    }
}

/// A refusal, with the actor that the core knows only by number.
enum Refused {
    Here(Refusal),
    Running(ActorCell),
}

fn done(reply: Reply) -> Result<(), Refusal> {
    match reply {
        Reply::Refused(refusal) => Err(refusal),
        Reply::Started { .. } | Reply::Ignored | Reply::Terminated | Reply::Deleted => Ok(()),
    }
}

impl From<Refused> for StartChildError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Running(running) => Self::AlreadyStarted { running },
            Refused::Here(refusal) => match refusal {
                Refusal::MaxChildren { limit } => Self::MaxChildren { limit },
                Refusal::Invalid(error) => Self::Invalid(error),
                Refusal::Failed(failure) => Self::Failed(failure),
                Refusal::Stopping => Self::Stopping,
                Refusal::AlreadyStarted { .. }
                | Refusal::AlreadyPresent
                | Refusal::NotFound
                | Refusal::Running
                | Refusal::Restarting => Self::AlreadyPresent,
            },
        }
    }
}

impl From<Refused> for RestartChildError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Running(_) => Self::Running,
            Refused::Here(refusal) => match refusal {
                Refusal::Failed(failure) => Self::Failed(failure),
                Refusal::Running | Refusal::AlreadyStarted { .. } => Self::Running,
                Refusal::Restarting | Refusal::AlreadyPresent => Self::Restarting,
                Refusal::Stopping => Self::Stopping,
                Refusal::NotFound | Refusal::MaxChildren { .. } | Refusal::Invalid(_) => Self::NotFound,
            },
        }
    }
}

impl From<Refusal> for TerminateChildError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stopping => Self::Stopping,
            Refusal::NotFound
            | Refusal::AlreadyStarted { .. }
            | Refusal::AlreadyPresent
            | Refusal::MaxChildren { .. }
            | Refusal::Running
            | Refusal::Restarting
            | Refusal::Invalid(_)
            | Refusal::Failed(_) => Self::NotFound,
        }
    }
}

impl From<Refusal> for DeleteChildError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stopping => Self::Stopping,
            Refusal::Running | Refusal::AlreadyStarted { .. } => Self::Running,
            Refusal::Restarting | Refusal::AlreadyPresent => Self::Restarting,
            Refusal::NotFound | Refusal::MaxChildren { .. } | Refusal::Invalid(_) | Refusal::Failed(_) => {
                Self::NotFound
            }
        }
    }
}
