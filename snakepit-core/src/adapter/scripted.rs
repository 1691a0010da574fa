//! An adapter without a process, driven by a test: whatever reaches a worker is handed to the test, which answers it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::adapter::{
    Adapter, AdapterEnded, AdapterFailure, AdapterMessage, AdapterRef, AdapterReports, ChunkSender, Connect,
    Connected, Connecting, Outcome, Outlet, WorkerContext,
};
use crate::id::{RequestId, WorkerLife};
use crate::payload::Payload;
use crate::process::ProcessSpec;

/// Hands every life of a worker to the test.
#[derive(Debug)]
pub(crate) struct Scripted {
    lives: UnboundedSender<ScriptedLife>,
    capacity: u16,
    boot: Boots,
}

/// What becomes of the boots from now on; a test may change it.
#[derive(Clone, Debug)]
pub(crate) struct Boots(Arc<Mutex<Boot>>);

impl Boots {
    pub(crate) fn set(&self, boot: Boot) {
        *self.0.lock().unwrap() = boot;
    }
}

/// What becomes of a boot.
#[derive(Clone, Debug)]
pub(crate) enum Boot {
    Ready,
    Never,
    /// Ready after so long.
    After(Duration),
    Fails(AdapterFailure),
}

/// One life, as the worker's end sees it.
#[derive(Debug)]
pub(crate) struct ScriptedLife {
    pub(crate) life: WorkerLife,
    pub(crate) reports: AdapterReports,
    messages: UnboundedReceiver<AdapterMessage>,
    /// Looked at, and not taken yet.
    seen: VecDeque<AdapterMessage>,
    actor: ActorRef<ScriptedMessage>,
}

/// What a scripted adapter actor is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large ones")]
pub(crate) enum ScriptedMessage {
    Adapter(AdapterMessage),
    End(AdapterFailure),
    Panic,
}

#[cfg(feature = "cluster")]
impl ractor::Message for ScriptedMessage {}

/// What a command begins with that cannot be said to the adapter: the conversion panics, or the outlet that is to take it, in
/// the actor that sends it.
pub(crate) const PANICS_ON_ITS_WAY: &str = "panics on its way";

/// A command that an outlet takes, and panics when it is to write it.
pub(crate) const PANICS_WHEN_WRITTEN: &str = "panics when written";

thread_local! {
    /// Whether it cannot be made from a Cancel, either, in this thread.
    pub(crate) static PANICS_ON_CANCEL: Cell<bool> = const { Cell::new(false) };
    /// Whether it cannot be made from Credit.
    pub(crate) static PANICS_ON_CREDIT: Cell<bool> = const { Cell::new(false) };
}

impl From<AdapterMessage> for ScriptedMessage {
    fn from(message: AdapterMessage) -> Self {
        panic_on_the_way(&message);
        Self::Adapter(message)
    }
}

fn panic_on_the_way(message: &AdapterMessage) {
    let is_cancel = matches!(message, AdapterMessage::Cancel { .. });
    assert!(!(is_cancel && PANICS_ON_CANCEL.get()), "a scripted conversion");
    let is_credit = matches!(message, AdapterMessage::Credit { .. });
    assert!(!(is_credit && PANICS_ON_CREDIT.get()), "a scripted conversion");
    let panics = command(message).is_some_and(|command| command.starts_with(PANICS_ON_ITS_WAY));
    assert!(!panics, "a scripted conversion");
}

/// What a message asks to run, where it does.
fn command(message: &AdapterMessage) -> Option<&str> {
    match message {
        AdapterMessage::Execute { request, .. } | AdapterMessage::ExecuteStream { request, .. } => {
            Some(&request.command)
        }
        _ => None,
    }
}

impl TryFrom<ScriptedMessage> for AdapterMessage {
    type Error = AdapterFailure;

    fn try_from(message: ScriptedMessage) -> Result<Self, AdapterFailure> {
        match message {
            ScriptedMessage::Adapter(message) => Ok(message),
            ScriptedMessage::End(failure) => Err(failure),
            ScriptedMessage::Panic => Err(AdapterFailure::Disconnected),
        }
    }
}

impl Scripted {
    pub(crate) fn new(capacity: u16, boot: Boot) -> (Self, UnboundedReceiver<ScriptedLife>) {
        let ((adapter, lives), _) = Self::changing(capacity, boot);
        (adapter, lives)
    }

    /// The same, and the way to change what becomes of later boots.
    pub(crate) fn changing(capacity: u16, boot: Boot) -> ((Self, UnboundedReceiver<ScriptedLife>), Boots) {
        let (lives, receiver) = unbounded_channel();
        let boots = Boots(Arc::new(Mutex::new(boot)));
        ((Self { lives, capacity, boot: boots.clone() }, receiver), boots)
    }
}

impl Adapter for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn process_spec(&self, _worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        Ok(None)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        let (lives, capacity, boot) =
            (self.lives.clone(), self.capacity, self.boot.0.lock().unwrap().clone());
        Box::pin(async move {
            match boot {
                Boot::Ready => {}
                Boot::Never => std::future::pending().await,
                Boot::After(delay) => tokio::time::sleep(delay).await,
                Boot::Fails(failure) => return Err(failure),
            }
            let (sender, messages) = unbounded_channel();
            let outlet = Arc::new(ScriptedOutlet(Mutex::new(Some(Held::new(sender.clone())))));
            let handler = ScriptedActor(Arc::clone(&outlet));
            let (actor, _) = Actor::spawn_linked(None, handler, sender, connect.supervisor)
                .await
                .map_err(|error| AdapterFailure::Failed { what: error.to_string() })?;
            // Both kinds of adapters, so that every test of a pool is one of both.
            let adapter = if connect.life.worker.slot.0.is_multiple_of(2) {
                AdapterRef::with_outlet(actor.get_derived(), outlet)
            } else {
                actor.get_derived().into()
            };
            let life = ScriptedLife {
                life: connect.life,
                reports: connect.reports,
                messages,
                seen: VecDeque::new(),
                actor,
            };
            // A test that has ended looks at no more lives.
            let _ = lives.send(life);
            Ok(Connected { adapter, capacity, tells_started: true, agent: "scripted".to_owned() })
        })
    }
}

/// Keeps what it takes until somebody flushes: what nobody flushes never reaches the test.
#[derive(Debug)]
struct ScriptedOutlet(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    messages: Vec<AdapterMessage>,
    test: UnboundedSender<AdapterMessage>,
}

impl Held {
    fn new(test: UnboundedSender<AdapterMessage>) -> Self {
        Self { messages: Vec::new(), test }
    }
}

impl Outlet for ScriptedOutlet {
    fn take(&self, message: AdapterMessage) -> Result<(), AdapterEnded> {
        panic_on_the_way(&message);
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.messages.push(message),
            None => return Err(AdapterEnded { message: Some(Box::new(message)) }),
        }
        Ok(())
    }

    fn flush(&self) {
        if let Some(held) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            for message in held.messages.drain(..) {
                assert!(command(&message) != Some(PANICS_WHEN_WRITTEN), "a scripted flush");
                let _ = held.test.send(message);
            }
        }
    }

    fn flush_soon(&self) {
        self.flush();
    }
}

/// Hands on what it is told. Its outlet ends with it.
#[derive(Debug)]
struct ScriptedActor(Arc<ScriptedOutlet>);

impl Drop for ScriptedActor {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for ScriptedActor {
    type Msg = ScriptedMessage;
    type State = UnboundedSender<AdapterMessage>;
    type Arguments = UnboundedSender<AdapterMessage>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        messages: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(messages)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        messages: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ScriptedMessage::Adapter(message) => {
                let _ = messages.send(message);
                Ok(())
            }
            ScriptedMessage::End(failure) => Err(Box::new(failure)),
            ScriptedMessage::Panic => panic!("a scripted panic"),
        }
    }
}

impl ScriptedLife {
    /// The next thing that the worker is told, but for pings and the announcement of the end.
    pub(crate) async fn next(&mut self) -> AdapterMessage {
        loop {
            let next = match self.seen.pop_front() {
                Some(message) => message,
                None => self.messages.recv().await.expect("the life goes on"),
            };
            match next {
                AdapterMessage::Ping | AdapterMessage::Drain => {}
                message => return message,
            }
        }
    }

    /// Whether there is anything that [`next`](Self::next) would return now.
    pub(crate) fn has_more(&mut self) -> bool {
        while let Ok(message) = self.messages.try_recv() {
            self.seen.push_back(message);
        }
        self.seen.iter().any(|message| !matches!(message, AdapterMessage::Ping | AdapterMessage::Drain))
    }

    /// The next thing, which must be a request, and what it asks for.
    pub(crate) async fn next_command(&mut self) -> (RequestId, String) {
        match self.next().await {
            AdapterMessage::Execute { id, request, .. }
            | AdapterMessage::ExecuteStream { id, request, .. } => (id, request.command.to_string()),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    /// Whether the life is over, and all that it was told has been looked at.
    pub(crate) fn has_left(&mut self) -> bool {
        self.messages.is_closed() && !self.has_more()
    }

    /// The next thing, which must be a request.
    pub(crate) async fn next_request(&mut self) -> RequestId {
        self.next_command().await.0
    }

    /// The next thing, which must be a stream, and where its chunks go.
    pub(crate) async fn next_stream(&mut self) -> (RequestId, ChunkSender) {
        match self.next().await {
            AdapterMessage::ExecuteStream { id, chunks, .. } => (id, chunks),
            other => panic!("expected a stream, got {other:?}"),
        }
    }

    /// The next thing, which must be a cancel.
    pub(crate) async fn next_cancel(&mut self) -> RequestId {
        match self.next().await {
            AdapterMessage::Cancel { id } => id,
            other => panic!("expected a cancel, got {other:?}"),
        }
    }

    pub(crate) fn answer(&self, id: RequestId, value: &serde_json::Value) {
        let payload = Payload::json(value).expect("a value has a JSON form");
        self.reports.alive();
        self.reports.finished(id, Outcome::Answered(payload));
    }

    /// The adapter's actor panics.
    pub(crate) fn panic(self) {
        self.actor.cast(ScriptedMessage::Panic).expect("the life goes on until now");
    }

    /// The life ends.
    pub(crate) fn end(self, failure: AdapterFailure) {
        self.actor.cast(ScriptedMessage::End(failure)).expect("the life goes on until now");
    }
}
