//! The actors behind the core's numbers: which actor is which life of which child, and what its spec needs to start it.

use std::collections::HashMap;

use ractor::{ActorCell, ActorId};
use tokio::runtime::Handle as RuntimeHandle;

use crate::actor::message::Descendants;
use crate::child::{ChildId, ChildSpec, Restart};
use crate::child_handle::LazyAddress;
use crate::core::message::{ChildKey, Life};
use crate::exit::ExitReason;
use crate::handle::AddressEntry;
use crate::offspring::{ExitHook, StartFn, StartInfo};

/// What the shell knows of one child.
pub(super) struct Seat {
    pub(super) id: ChildId,
    name: Option<String>,
    runtime: Option<RuntimeHandle>,
    address: LazyAddress,
    entry: Option<AddressEntry>,
    /// `None` once a temporary child has been started: its arguments are not kept, as it is never started again.
    start: Option<StartFn>,
    once: bool,
    pub(super) on_exit: Option<ExitHook>,
    /// Its last incarnation, and the actor that it is or was.
    pub(super) incarnation: u64,
    pub(super) cell: Option<ActorCell>,
    /// Whether that actor has been up.
    was_up: bool,
    /// The last actor that was up, while attempts to replace it go on: callers may still know the child by it.
    former: Option<ActorCell>,
    /// How that actor ended, if ractor has told.
    pub(super) exit: Option<ExitReason>,
    /// Its task has ended, and ractor has not told why.
    pub(super) untold: Option<Descendants>,
    pub(super) info: Option<StartInfo>,
}

/// What is needed to begin a life.
pub(super) struct Beginning {
    pub(super) id: ChildId,
    pub(super) name: Option<String>,
    pub(super) runtime: Option<RuntimeHandle>,
    pub(super) start: StartFn,
}

/// All seats of one supervisor.
#[derive(Default)]
pub(super) struct Seats {
    seats: HashMap<ChildKey, Seat>,
    actors: HashMap<ActorId, ChildKey>,
}

impl Seats {
    pub(super) fn insert(&mut self, key: ChildKey, spec: ChildSpec) {
        let seat = Seat {
            id: spec.settings.id,
            name: spec.name,
            runtime: spec.runtime,
            address: spec.address,
            entry: None,
            start: Some(spec.start),
            once: spec.settings.restart == Restart::Temporary,
            on_exit: spec.on_exit,
            incarnation: 0,
            cell: None,
            was_up: false,
            former: None,
            exit: None,
            untold: None,
            info: None,
        };
        self.seats.insert(key, seat);
    }

    pub(super) fn remove(&mut self, key: ChildKey) {
        let Some(seat) = self.seats.remove(&key) else { return };
        for cell in seat.cell.iter().chain(&seat.former) {
            self.actors.remove(&cell.get_id());
        }
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Seat> {
        self.seats.get(&key)
    }

    /// The seat, if this is the life that it holds.
    pub(super) fn holding(&mut self, life: Life) -> Option<&mut Seat> {
        self.seats.get_mut(&life.key).filter(|seat| seat.incarnation == life.incarnation)
    }

    /// Begins a new life: what is needed to start it.
    pub(super) fn begin(&mut self, life: Life) -> Option<Beginning> {
        let seat = self.seats.get_mut(&life.key)?;
        (seat.exit, seat.untold, seat.info, seat.entry) = (None, None, None, None);
        match seat.cell.take() {
            Some(cell) if seat.was_up => seat.former = Some(cell),
            Some(cell) => _ = self.actors.remove(&cell.get_id()),
            None => {}
        }
        seat.was_up = false;
        seat.incarnation = life.incarnation;
        let start = if seat.once { seat.start.take()? } else { seat.start.clone()? };
        let (id, name, runtime) = (seat.id.clone(), seat.name.clone(), seat.runtime.clone());
        Some(Beginning { id, name, runtime, start })
    }

    /// Lets the child's handles find it.
    pub(super) fn announce(&mut self, life: Life) {
        let Some(seat) = self.holding(life) else { return };
        let Some(cell) = &seat.cell else { return };
        seat.entry = seat.address.enter(cell);
        seat.was_up = true;
        if let Some(former) = seat.former.take() {
            self.actors.remove(&former.get_id());
        }
    }

    /// Lets the child's handles find it no more.
    pub(super) fn retract(&mut self, life: Life) {
        if let Some(seat) = self.holding(life) {
            seat.entry = None;
        }
    }

    pub(super) fn seat(&mut self, life: Life, cell: ActorCell, info: Option<StartInfo>) {
        if let Some(seat) = self.holding(life) {
            seat.info = info;
            let id = cell.get_id();
            seat.cell = Some(cell);
            self.actors.insert(id, life.key);
        }
    }

    /// Forgets the actor of a child, but not the child.
    pub(super) fn vacate(&mut self, key: ChildKey) -> Option<ActorCell> {
        let seat = self.seats.get_mut(&key)?;
        (seat.exit, seat.untold, seat.info, seat.entry) = (None, None, None, None);
        let cell = seat.cell.take()?;
        self.actors.remove(&cell.get_id());
        Some(cell)
    }

    pub(super) fn cell(&self, life: Life) -> Option<&ActorCell> {
        self.seats.get(&life.key).filter(|seat| seat.incarnation == life.incarnation)?.cell.as_ref()
    }

    /// The child that this actor is, or was last.
    pub(super) fn of_actor(&self, actor: ActorId) -> Option<ChildKey> {
        self.actors.get(&actor).copied()
    }

    /// Remembers how an actor ended. A stranger's end is nothing to us. If the rest of its end was waiting for this,
    /// that can go on.
    pub(super) fn note_exit(&mut self, actor: ActorId, reason: ExitReason) -> Option<(Life, Descendants)> {
        let &key = self.actors.get(&actor)?;
        let seat = self.seats.get_mut(&key)?;
        if seat.cell.as_ref().is_none_or(|cell| cell.get_id() != actor) {
            return None;
        }
        seat.exit = Some(reason);
        Some((Life { key, incarnation: seat.incarnation }, seat.untold.take()?))
    }
}
