//! SX-07, and how cases use a second runtime: for children that block their thread, or lose it.
//!
//! Virtual time jumps to the next timer whenever its runtime has nothing to do, also while another thread is at work.
//! A [`Standstill`] holds it: tokio does not let time jump while a blocking task runs.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{ChildSpec, Shutdown, SupervisorRef, SupervisorSpec};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::otp::bed::{Bed, secs};
use crate::otp::journal::Journal;

/// A second runtime, on threads of its own.
pub(crate) struct Elsewhere(Option<Runtime>);

impl Elsewhere {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
        Self(Some(runtime.expect("a second runtime starts")))
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.0.as_ref().expect("it is ended only once").handle().clone()
    }

    /// Starts a supervisor that has children here.
    pub(crate) async fn up(&self, bed: &Bed, spec: SupervisorSpec) -> SupervisorRef {
        let _standstill = Standstill::begin();
        bed.up(spec).await
    }

    /// Ends the runtime, and with it every task on it.
    pub(crate) async fn abort_all(mut self, bed: &Bed, last_line: &str) {
        let _standstill = Standstill::begin();
        self.end();
        elsewhere_says(bed, last_line).await;
    }

    fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.end();
    }
}

/// Holds virtual time for as long as it lives.
pub(crate) struct Standstill(#[expect(dead_code, reason = "its drop is what tells")] Sender<()>);

impl Standstill {
    pub(crate) fn begin() -> Self {
        let (end, ended) = channel::<()>();
        drop(spawn_blocking(move || ended.recv()));
        Self(end)
    }
}

/// Waits in real time until another thread has written a line. Virtual time stands still meanwhile.
pub(crate) async fn elsewhere_says(bed: &Bed, line: &str) {
    let (journal, wanted) = (bed.journal.clone(), line.to_owned());
    let (_never, pause) = channel::<()>();
    let said = spawn_blocking(move || {
        // A generous limit: half a minute.
        (0..30_000).any(|_| {
            journal.says(&wanted) || {
                assert_eq!(pause.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
                false
            }
        })
    });
    assert!(said.await.expect("it does not panic"), "{line} was never written elsewhere");
}

/// An actor that blocks its thread, in its handler, until it is let go.
struct Blocker {
    journal: Journal,
    gate: Arc<Mutex<Receiver<()>>>,
}

/// Blocks.
pub(crate) struct Block;

#[cfg(feature = "cluster")]
impl ractor::Message for Block {}

impl Drop for Blocker {
    fn drop(&mut self) {
        self.journal.note("died b".to_owned());
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Blocker {
    type Msg = Block;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Block>, (): ()) -> Result<(), ActorProcessingErr> {
        self.journal.introduce("b", myself.get_cell());
        self.journal.note("start b".to_owned());
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Block>, _: Block, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.journal.note("blocked b".to_owned());
        // Until the gate opens, or is gone with the case.
        _ = self.gate.lock().expect("nobody panics while holding it").recv();
        Ok(())
    }
}

/// A child `b` that blocks its thread when told to: 1 s to stop. Sending lets it go.
pub(crate) fn blocker(bed: &Bed, elsewhere: &Elsewhere) -> (ChildSpec, Sender<()>) {
    let (open, gate) = channel();
    let (journal, gate) = (bed.journal.clone(), Arc::new(Mutex::new(gate)));
    let spec =
        ChildSpec::worker("b", move || (Blocker { journal: journal.clone(), gate: Arc::clone(&gate) }, ()));
    (spec.shutdown(Shutdown::Timeout(secs(1))).start_timeout(None).on_runtime(elsewhere.runtime()), open)
}

/// Tells `b` to block, and waits until it does.
pub(crate) async fn block(bed: &Bed) {
    let _standstill = Standstill::begin();
    ActorRef::<Block>::from(bed.journal.cell("b")).cast(Block).expect("it is up");
    elsewhere_says(bed, "blocked b").await;
    bed.forget().await;
}

pub(crate) async fn sx_07_a_child_that_blocks_its_thread_holds_up_nobody() {
    let bed = Bed::new().await;
    let elsewhere = Elsewhere::new();
    let (b, open) = blocker(&bed, &elsewhere);
    let spec = bed.over([bed.child("a"), b, bed.child("c")]).kill_grace(secs(1));
    let sup = elsewhere.up(&bed, spec).await;
    let cell = sup.cell().expect("it runs");
    block(&bed).await;
    let began = Instant::now();
    sup.stop(Some("shutdown".to_owned()));
    cell.wait(Some(secs(60))).await.expect("it ends");
    assert_eq!(began.elapsed(), secs(2), "a second to stop, a second to die");
    assert_eq!(bed.happened().await, "stop c shutdown, stop a shutdown");
    assert_eq!(bed.reported().await, "unstoppable b");
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
    open.send(()).expect("it still waits");
    elsewhere_says(&bed, "died b").await;
    assert_eq!(bed.happened().await, "died b", "a late death is nothing to anybody");
}
