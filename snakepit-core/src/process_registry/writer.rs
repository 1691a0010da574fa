//! The registry's writer: one thread, which makes one commit of all that waits.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::info;

use crate::address::Address;
use crate::process_registry::handle::RegistryError;
use crate::process_registry::ledger::{Change, Ledger};
use crate::process_registry::lock::DirectoryLock;
use crate::process_registry::message::ProcessRegistryMessage;
use crate::process_registry::queue::{Queue, Request, Taken};
use crate::process_registry::store::{FileState, Store, StoreError, unix_ms};
use crate::telemetry::{Event, EventSink};

/// How long what could not be written waits for the next attempt, where nothing else is to be written before.
const RETRY: Duration = Duration::from_secs(1);

/// The writer as the registry's actor holds it. The thread outlives the actor, and ends with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    desk: Arc<Mutex<Desk>>,
    queue: Arc<Queue>,
    pub(super) events: EventSink,
    running: Arc<AtomicBool>,
    /// Where it says that its thread has ended before its time.
    pub(super) actor: Address<ProcessRegistryMessage>,
}

/// What the writer works on. It outlives the thread, too.
#[derive(Debug)]
struct Desk {
    ledger: Ledger,
    store: Store,
    events: EventSink,
    /// Held for as long as the store is.
    #[expect(dead_code, reason = "held, not used")]
    lock: DirectoryLock,
}

impl Writer {
    pub(super) fn new(
        ledger: Ledger,
        store: Store,
        lock: DirectoryLock,
        queue: Arc<Queue>,
        events: EventSink,
    ) -> Self {
        let desk = Desk { ledger, store, events: events.clone(), lock };
        Self {
            desk: Arc::new(Mutex::new(desk)),
            queue,
            events,
            running: Arc::default(),
            actor: Address::default(),
        }
    }

    /// Starts the thread where none runs.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn keep_running(&self) -> io::Result<()> {
        if self.running.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let end = ThreadEnd { running: Arc::clone(&self.running), actor: self.actor.clone() };
        let (desk, queue) = (Arc::clone(&self.desk), Arc::clone(&self.queue));
        let thread = std::thread::Builder::new().name("snakepit-registry".to_owned());
        // A thread that could not be made drops its end, too.
        thread.spawn(move || run(&desk, &queue, &end)).map(drop)
    }

    /// Closes the registry in this thread, where no thread of its own ever ran.
    pub(super) fn close(&self) {
        with(&self.desk, Desk::end);
    }
}

/// Says that the thread has ended, whichever way.
struct ThreadEnd {
    running: Arc<AtomicBool>,
    actor: Address<ProcessRegistryMessage>,
}

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Release);
        if std::thread::panicking() {
            // An actor that is just restarting looks itself whether the thread runs.
            self.actor.cast(ProcessRegistryMessage::WriterEnded);
        }
    }
}

/// The thread. `_end` is dropped with it.
fn run(desk: &Mutex<Desk>, queue: &Queue, _end: &ThreadEnd) {
    let mut is_saved = true;
    loop {
        let requests = match queue.take((!is_saved).then_some(RETRY)) {
            Taken::Requests(requests) => requests,
            Taken::Nothing => Vec::new(),
            Taken::Closed => break,
        };
        is_saved = with(desk, |desk| {
            desk.write(requests, queue);
            desk.ledger.is_saved()
        });
    }
    with(desk, Desk::end);
}

fn with<R>(desk: &Mutex<Desk>, work: impl FnOnce(&mut Desk) -> R) -> R {
    let mut desk = desk.lock().unwrap_or_else(|poison| {
        // An earlier thread has panicked over the file. The ledger is whole; the file is opened again.
        let mut desk = poison.into_inner();
        desk.store.close();
        desk
    });
    work(&mut desk)
}

impl Desk {
    /// Takes all requests in, makes one commit of them, and tells everybody who waits.
    fn write(&mut self, requests: Vec<Request>, queue: &Queue) {
        let now = unix_ms();
        let (mut intents, mut waiting) = (Vec::new(), Vec::new());
        for Request { life, change, reply } in requests {
            if matches!(change, Change::Reserve { .. }) {
                intents.push(life.clone());
            }
            let applied = self.ledger.apply(&life, change, now);
            waiting.extend(reply.map(|reply| (reply, applied)));
        }
        let written = self.save();
        if let Err(error) = &written {
            let (error, refused) = (error.to_string(), intents.len());
            self.events.emit(Event::RegistryNotWritten { error, refused });
            for life in &intents {
                self.ledger.take_back(life);
                queue.forget(life);
            }
        }
        for (reply, applied) in waiting {
            // Whoever has stopped waiting starts no process.
            let _ = reply.send(applied.and_then(|()| written.clone()));
        }
    }

    fn save(&mut self) -> Result<(), RegistryError> {
        self.try_save().map_err(|error| RegistryError::NotWritten { message: error.to_string() })
    }

    fn try_save(&mut self) -> Result<(), StoreError> {
        if self.store.ready()? == FileState::New {
            self.ledger.file_was_lost();
            self.events.emit(Event::RegistryLost { path: self.store.path() });
        }
        if !self.ledger.is_saved() {
            self.store.commit(&self.ledger.unsaved())?;
            self.ledger.saved();
        }
        Ok(())
    }

    /// Nobody is left to ask for anything.
    fn end(&mut self) {
        let saved = self.save();
        // What could not be ended of earlier runs is still on record.
        let is_bare = self.ledger.is_empty() && self.store.all().is_ok_and(|left| left.is_empty());
        if saved.is_ok() && is_bare {
            let clean = self.store.say_clean();
            info!(clean = clean.is_ok(), "the process registry is closed");
        }
        self.store.close();
    }
}

#[cfg(test)]
mod tests;
