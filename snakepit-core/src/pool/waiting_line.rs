//! The waiting line: requests that found no place, first come, first served. Those that only one worker may take stand
//! beside the others, so that nobody has to step over them.

use std::collections::BTreeMap;

use crate::id::{Incarnation, RequestId, Slot};
use crate::pool::message::Life;

/// A place in the line; what [`WaitingLine::leave`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    pin: Option<Life>,
}

/// Requests by the numbers that they drew when they came.
type Queue = BTreeMap<u64, RequestId>;

/// Requests in the order in which they came. Leaving from the middle leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct WaitingLine {
    anyone: Queue,
    /// Requests that wait for one life. A life that nobody waits for has no entry.
    pinned: BTreeMap<Life, Queue>,
    pinned_len: usize,
    next: u64,
}

impl WaitingLine {
    /// Puts a request at the end; with a pin, only that life may take it.
    pub(super) fn join(&mut self, id: RequestId, pin: Option<Life>) -> Ticket {
        let number = self.next;
        self.next += 1;
        match pin {
            None => {
                self.anyone.insert(number, id);
            }
            Some(life) => {
                self.pinned.entry(life).or_default().insert(number, id);
                self.pinned_len += 1;
            }
        }
        Ticket { number, pin }
    }

    /// Takes a request out, wherever it is.
    pub(super) fn leave(&mut self, Ticket { number, pin }: Ticket) {
        let Some(life) = pin else {
            self.anyone.remove(&number);
            return;
        };
        let Some(queue) = self.pinned.get_mut(&life) else { return };
        if queue.remove(&number).is_some() {
            self.pinned_len -= 1;
        }
        if queue.is_empty() {
            self.pinned.remove(&life);
        }
    }

    /// Whether a life may take any of the requests.
    pub(super) fn has_any_for(&self, life: Life) -> bool {
        !self.anyone.is_empty() || self.pinned.contains_key(&life)
    }

    /// Whether any request waits that anyone may take.
    pub(super) fn has_any(&self) -> bool {
        !self.anyone.is_empty()
    }

    /// Takes out the request that has waited longest of those that a life may take. Costs the same however many wait for
    /// others.
    pub(super) fn next_for(&mut self, life: Life) -> Option<RequestId> {
        let (ticket, id) = self.head(life)?;
        self.leave(ticket);
        Some(id)
    }

    /// Whether any request waits for this life alone.
    pub(super) fn has_pins_to(&self, life: Life) -> bool {
        self.pinned.contains_key(&life)
    }

    /// Takes out the request that has waited longest of those that only this life may take.
    pub(super) fn next_pinned(&mut self, life: Life) -> Option<RequestId> {
        let (number, id) = self.pinned.get(&life)?.first_key_value()?;
        let (ticket, id) = (Ticket { number: *number, pin: Some(life) }, *id);
        self.leave(ticket);
        Some(id)
    }

    /// Whether any request waits for a life of this slot alone.
    pub(super) fn has_pins_in(&self, slot: Slot) -> bool {
        let of = |incarnation| Life { slot, incarnation: Incarnation(incarnation) };
        self.pinned.range(of(0)..=of(u64::MAX)).next().is_some()
    }

    fn head(&self, life: Life) -> Option<(Ticket, RequestId)> {
        let head = |queue: &Queue, pin| {
            queue.first_key_value().map(|(number, id)| (Ticket { number: *number, pin }, *id))
        };
        let own = self.pinned.get(&life).and_then(|queue| head(queue, Some(life)));
        match (head(&self.anyone, None), own) {
            (Some(anyone), Some(own)) if anyone.0.number < own.0.number => Some(anyone),
            (anyone, own) => own.or(anyone),
        }
    }

    /// The lives of a slot that requests wait for.
    pub(super) fn pins_in(&self, slot: Slot) -> Vec<Life> {
        self.pinned.keys().filter(|life| life.slot == slot).copied().collect()
    }

    /// The requests that wait for one life.
    pub(super) fn pinned_to(&self, life: Life) -> Vec<RequestId> {
        self.pinned.get(&life).map(|queue| queue.values().copied().collect()).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    pub(super) fn len(&self) -> usize {
        self.anyone.len() + self.pinned_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn life(slot: u16) -> Life {
        Life { slot: Slot(slot), incarnation: Incarnation(1) }
    }

    fn all_for(line: &mut WaitingLine, slot: u16) -> Vec<u64> {
        std::iter::from_fn(|| line.next_for(life(slot)).map(|id| id.0)).collect()
    }

    #[test]
    fn the_first_come_is_served_first() {
        let mut line = WaitingLine::default();
        for id in 1..=3 {
            line.join(RequestId(id), None);
        }
        assert_eq!(all_for(&mut line, 0), [1, 2, 3]);
    }

    #[test]
    fn s05_a_worker_takes_what_is_pinned_to_it_or_to_nobody_in_the_order_of_arrival() {
        let mut line = WaitingLine::default();
        for (id, pin) in [(1, Some(1)), (2, Some(0)), (3, None), (4, Some(1)), (5, Some(0)), (6, None)] {
            line.join(RequestId(id), pin.map(life));
        }
        assert_eq!(all_for(&mut line, 0), [2, 3, 5, 6]);
        assert!(!line.has_any_for(life(0)) && line.has_any_for(life(1)));
        assert_eq!((line.len(), line.pins_in(Slot(1))), (2, vec![life(1)]));
        assert!(line.has_pins_in(Slot(1)) && !line.has_pins_in(Slot(0)) && !line.has_pins_in(Slot(2)));
        line.join(RequestId(7), None);
        assert_eq!([line.has_pins_to(life(1)), line.has_pins_to(life(0))], [true, false]);
        assert_eq!([line.next_pinned(life(1)), line.next_pinned(life(0))], [Some(RequestId(1)), None]);
        assert_eq!(all_for(&mut line, 1), [4, 7]);
        assert!(line.pinned.is_empty());
    }

    #[test]
    fn s03_leaving_leaves_nothing_behind() {
        let mut line = WaitingLine::default();
        let pins = |id| (id % 2 == 0).then(|| life(u16::try_from(id % 7).unwrap()));
        let tickets: Vec<_> = (1..=1200).map(|id| line.join(RequestId(id), pins(id))).collect();
        let last = line.join(RequestId(9999), None);
        for ticket in tickets {
            line.leave(ticket);
            line.leave(ticket);
        }
        assert_eq!((line.len(), line.pinned.len()), (1, 0));
        assert_eq!(all_for(&mut line, 0), [9999]);
        line.leave(last);
        assert_eq!(line.len(), 0);
    }

    proptest! {
        #[test]
        fn it_serves_as_a_plain_list_would(steps in prop::collection::vec((0u8..4, 0u16..3), 0..150)) {
            let mut line = WaitingLine::default();
            let mut plain: Vec<(u64, Option<u16>, Ticket)> = Vec::new();
            for (n, (step, slot)) in (0..).zip(steps) {
                match step {
                    0 | 1 => {
                        let pin = (step == 1).then_some(slot);
                        plain.push((n, pin, line.join(RequestId(n), pin.map(life))));
                    }
                    2 => {
                        let first = plain.iter().position(|(_, pin, _)| pin.is_none_or(|pin| pin == slot));
                        prop_assert_eq!(line.has_any_for(life(slot)), first.is_some());
                        let expected = first.map(|at| RequestId(plain.remove(at).0));
                        prop_assert_eq!(line.next_for(life(slot)), expected);
                    }
                    _ => if !plain.is_empty() {
                        let (_, _, ticket) = plain.remove(usize::from(slot) % plain.len());
                        line.leave(ticket);
                    },
                }
                prop_assert_eq!(line.len(), plain.len());
            }
        }
    }
}
