//! The threads of a worker and what they share.

mod asked;
mod run;

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::port::frame::Kind;
use crate::worker::beginning::Expectations;
use crate::worker::command::Commands;
use crate::worker::crew::asked::Reply;
use crate::worker::intake::{Asked, Intake, ReadEnd, Reading, ReadingTurn};
use crate::worker::output::Output;
use crate::worker::requests::{Job, Requests};
use crate::worker::turns::{LastLook, StandbyVerdict, Turns};

/// How a worker's service ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that was asked is answered, or the host is gone.
    Done,
    /// The host broke the contract: which word, and how.
    HostBrokeContract(String),
    /// A thread of the worker's own ended in a panic.
    Panicked,
}

pub(super) struct Crew {
    commands: Commands,
    terms: Terms,
    /// Whether the host has been asked to replace this worker.
    wants_to_go: AtomicBool,
    output: Output,
    /// Locked by the one thread that has the reading.
    intake: Mutex<Intake>,
    reading: ReadingTurn,
    shared: Mutex<Shared>,
    /// Woken to take over the reading, or to run a request.
    standby: Condvar,
    /// Woken when credit or a cancel has come for a command that waits for it.
    news: Condvar,
    ended: Condvar,
}

/// What was agreed on when the worker started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How many commands run at once.
    pub(super) threads: usize,
    /// In bytes, of one request or one answer.
    pub(super) payload_limit: usize,
    /// Whether the host hears when a request begins.
    pub(super) tells_started: bool,
}

struct Shared {
    requests: Requests,
    expectations: Expectations,
    turns: Turns,
    /// How many commands wait for news: without one, nobody need be woken.
    listeners: usize,
    end: Option<End>,
}

/// What a thread does next.
enum Step {
    Run(Box<Job>, Words),
    Read,
    StandBy,
    /// All that was asked is answered: the last answers go out, and the worker leaves.
    Finish,
    Leave,
}

/// What to do with what is gathered for the host, before a command runs.
enum Words {
    Keep,
    Write,
    /// With the word that these begin.
    Tell(Vec<u64>),
}

/// A request that has run.
struct Done {
    id: u64,
    /// Which command it was and how long that took, where it matters.
    took: Option<(String, Duration)>,
}

impl Crew {
    pub(super) fn new(commands: Commands, terms: Terms, intake: Intake, output: Output) -> Self {
        let names = commands.infos().into_iter().map(|info| info.name);
        Self {
            terms,
            wants_to_go: AtomicBool::new(false),
            output,
            intake: Mutex::new(intake),
            reading: ReadingTurn::default(),
            shared: Mutex::new(Shared {
                requests: Requests::new(terms.threads),
                expectations: Expectations::new(names),
                turns: Turns::new(terms.threads),
                listeners: 0,
                end: None,
            }),
            standby: Condvar::new(),
            news: Condvar::new(),
            ended: Condvar::new(),
            commands,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one thread.
    pub(super) fn work(self: &Arc<Self>) {
        let _guard = EndIfPanicking(self);
        let mut done = None;
        let mut asked = Vec::new();
        loop {
            match self.next_step(done.take()) {
                Step::Run(job, words) => {
                    match words {
                        Words::Keep => {}
                        Words::Write => self.flush(),
                        Words::Tell(ids) => self.or_host_gone(&self.output.send_empty(Kind::Started, &ids)),
                    }
                    done = Some(self.run(job));
                }
                Step::Read => {
                    self.flush();
                    self.read(&mut asked);
                }
                Step::StandBy => {
                    self.flush();
                    self.stand_by();
                }
                Step::Finish => {
                    self.flush();
                    self.end(End::Done);
                }
                Step::Leave => return,
            }
        }
    }

    /// Judges what a thread does that has just finished a request, or nothing.
    fn next_step(&self, done: Option<Done>) -> Step {
        let mut shared = self.shared();
        if let Some(done) = done {
            shared.requests.finish(done.id);
            if let Some((command, took)) = done.took {
                shared.expectations.took(&command, took);
            }
        }
        if shared.end.is_some() {
            return Step::Leave;
        }
        if let Some(job) = shared.requests.begin() {
            let words = shared.before(&job, self.terms);
            if shared.turns.begin() || shared.requests.may_begin() {
                self.standby.notify_one();
            }
            return Step::Run(job, words);
        }
        if shared.requests.is_drained() {
            return Step::Finish;
        }
        if shared.turns.take_reading() { Step::Read } else { Step::StandBy }
    }

    fn stand_by(&self) {
        let mut shared = self.shared();
        let mut last = LastLook::default();
        loop {
            if shared.end.is_some() || shared.requests.may_begin() || shared.requests.is_drained() {
                return;
            }
            let command_runs = shared.requests.is_running();
            shared = match shared.turns.stand_by(command_runs, &mut last) {
                StandbyVerdict::Read => return,
                StandbyVerdict::Sleep => self.standby.wait(shared).unwrap_or_else(PoisonError::into_inner),
                StandbyVerdict::LookAgain(after) => {
                    self.standby.wait_timeout(shared, after).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Reads what the host sends next, and gives the reading back.
    fn read(&self, asked: &mut Vec<Asked>) {
        let (turn, read) =
            self.intake.lock().unwrap_or_else(PoisonError::into_inner).next(asked, &self.reading);
        let mut replies = Vec::new();
        let mut shared = self.shared();
        let taken = asked.drain(..).try_for_each(|asked| shared.take(asked, &mut replies));
        shared.turns.stop_reading();
        let somebody_listens = shared.listeners > 0;
        drop(shared);
        if somebody_listens {
            self.news.notify_all();
        }
        for reply in replies {
            self.reply(reply);
        }
        drop(turn);
        match read.and(taken.map_err(ReadEnd::Breach)) {
            Ok(()) => {}
            Err(ReadEnd::HostGone) => self.end(End::Done),
            Err(ReadEnd::Breach(error)) => {
                self.end(End::HostBrokeContract(format!("{}: {error}", error.word())));
            }
        }
    }

    /// Waits until a thread has read something, or until `timeout`.
    fn await_news<'a>(
        &self,
        mut shared: MutexGuard<'a, Shared>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, Shared> {
        shared.listeners += 1;
        let mut shared = match timeout {
            None => self.news.wait(shared).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.news.wait_timeout(shared, timeout).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        shared.listeners -= 1;
        shared
    }

    /// Takes no more work, finishes what runs, and leaves.
    pub(super) fn terminate(&self) {
        // Another thread may find that nothing is left to do, and the worker must not leave before these are answered.
        let turn = self.reading.take();
        let refused = self.shared().requests.terminate();
        for id in refused {
            self.reply(Reply::draining(id));
        }
        drop(turn);
        self.standby.notify_all();
        if self.shared().requests.is_drained() {
            self.flush();
            self.end(End::Done);
        }
    }

    pub(super) fn send(&self, kind: Kind, id: u64, body: &[u8]) {
        self.or_host_gone(&self.output.send(kind, id, body));
    }

    fn flush(&self) {
        self.or_host_gone(&self.output.flush());
    }

    /// A pipe that cannot be written is one that nobody reads.
    fn or_host_gone(&self, sent: &io::Result<()>) {
        if sent.is_err() {
            self.end(End::Done);
        }
    }

    fn end(&self, end: End) {
        let mut shared = self.shared();
        shared.end.get_or_insert(end);
        shared.requests.cancel_all();
        drop(shared);
        self.standby.notify_all();
        self.news.notify_all();
        self.ended.notify_all();
    }

    /// Nobody would read an answer any more.
    #[cfg(feature = "grpc")]
    pub(super) fn host_gone(&self) {
        self.end(End::Done);
    }

    /// Ends the way to the host behind the last answer.
    #[cfg(feature = "grpc")]
    pub(super) fn end_output(&self) {
        self.output.end();
    }

    /// Waits until the worker has nothing left to do. From then on nothing more is read.
    pub(super) fn await_end(&self) -> End {
        let end = self.first_end();
        if end == End::Done {
            *self.reading.take() = Reading::IsOver;
        }
        end
    }

    fn first_end(&self) -> End {
        let mut shared = self.shared();
        loop {
            if let Some(end) = &shared.end {
                return end.clone();
            }
            shared = self.ended.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    /// Judges what the host hears before a request runs.
    fn before(&mut self, job: &Job, terms: Terms) -> Words {
        if terms.tells_started && !job.told {
            return Words::Tell(self.requests.begin_together(job, &self.expectations));
        }
        if self.turns.may_keep_answers() { Words::Keep } else { Words::Write }
    }
}

/// A thread of ours that panics outside a handler is a fault of this crate: the worker ends rather than hang.
struct EndIfPanicking<'a>(&'a Crew);

impl Drop for EndIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(End::Panicked);
        }
    }
}
