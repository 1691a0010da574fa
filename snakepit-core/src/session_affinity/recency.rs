//! Things kept in the order of their last use, each found again by its place.

use crate::session_affinity::order::{Order, Position};

/// How many things lie on one board. Where all are full another is laid, and nothing that lies there is ever moved: a
/// table that grows must not keep a request waiting.
const BOARD: usize = 1024;
const NONE: u32 = u32::MAX;

/// Where a thing lies, until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot(u32);

impl Spot {
    /// Where nothing ever lies.
    pub(super) const NOWHERE: Self = Self(NONE);

    #[cfg(test)]
    pub(super) fn at(number: u32) -> Self {
        Self(number)
    }
}

/// Things in the order of their last use; some may be held out of the order for a while.
#[derive(Debug)]
pub(super) struct Recency<T> {
    boards: Vec<Vec<Node<T>>>,
    order: Order,
    /// The first of the spots that are free.
    free: u32,
}

#[derive(Debug)]
enum Node<T> {
    Taken { thing: T, position: Position },
    Free { next: u32 },
}

impl<T> Default for Recency<T> {
    fn default() -> Self {
        Self { boards: Vec::new(), order: Order::default(), free: NONE }
    }
}

impl<T> Recency<T> {
    /// How many bytes a thing takes here.
    #[cfg(test)]
    pub(super) const SIZE: usize = size_of::<Node<T>>();

    /// Keeps a thing, out of the order for now.
    pub(super) fn insert(&mut self, thing: T) -> Spot {
        let taken = Node::Taken { thing, position: Position::OUTSIDE };
        let free = Spot(self.free);
        match node_mut(&mut self.boards, free) {
            Some(node) => {
                if let Node::Free { next } = *node {
                    self.free = next;
                }
                *node = taken;
                free
            }
            None => self.add(taken),
        }
    }

    fn add(&mut self, node: Node<T>) -> Spot {
        let (laid, last) = (self.boards.len(), self.boards.last_mut());
        let at = match last {
            Some(board) if board.len() < BOARD => {
                board.push(node);
                (laid - 1) * BOARD + board.len() - 1
            }
            _ => {
                let mut board = Vec::with_capacity(BOARD);
                board.push(node);
                self.boards.push(board);
                laid * BOARD
            }
        };
        Spot(u32::try_from(at).expect("fewer things than 2^32, by the limit of sessions"))
    }

    /// Takes a thing out for good.
    pub(super) fn remove(&mut self, spot: Spot) -> Option<T> {
        self.hold(spot);
        clear(&mut self.boards, &mut self.free, spot)
    }

    /// Takes out, for good and oldest first, at most `most` of the things in the order, as long as they are due.
    pub(super) fn remove_oldest(&mut self, most: usize, is_due: impl Fn(&T) -> bool) -> Vec<(Spot, T)> {
        let Self { boards, order, free } = self;
        let mut removed = Vec::with_capacity(most.min(BOARD));
        order.leave_oldest(|number| {
            let spot = Spot(number);
            let goes = removed.len() < most && get(boards, spot).is_some_and(&is_due);
            if goes {
                removed.extend(clear(boards, free, spot).map(|thing| (spot, thing)));
            }
            goes
        });
        removed
    }

    pub(super) fn get(&self, spot: Spot) -> Option<&T> {
        get(&self.boards, spot)
    }

    pub(super) fn get_mut(&mut self, spot: Spot) -> Option<&mut T> {
        match node_mut(&mut self.boards, spot)? {
            Node::Taken { thing, .. } => Some(thing),
            Node::Free { .. } => None,
        }
    }

    /// Takes a thing out of the order: it is in use.
    pub(super) fn hold(&mut self, spot: Spot) {
        let boards = &mut self.boards;
        let position = set_position(boards, spot, Position::OUTSIDE);
        if position != Position::OUTSIDE {
            self.order.leave(position, |number, position| {
                set_position(boards, Spot(number), position);
            });
        }
    }

    /// Puts a thing into the order as the one that was used last.
    pub(super) fn settle(&mut self, spot: Spot) {
        self.hold(spot);
        if self.get(spot).is_some() {
            let position = self.order.join(spot.0);
            set_position(&mut self.boards, spot, position);
        }
    }

    /// Every thing, in no order.
    pub(super) fn spots(&self) -> impl Iterator<Item = Spot> + use<T> {
        let last = self.boards.last().map_or(0, |board| (self.boards.len() - 1) * BOARD + board.len());
        (0..u32::try_from(last).unwrap_or(NONE)).map(Spot)
    }
}

fn node_mut<T>(boards: &mut [Vec<Node<T>>], spot: Spot) -> Option<&mut Node<T>> {
    boards.get_mut(spot.0 as usize / BOARD)?.get_mut(spot.0 as usize % BOARD)
}

fn get<T>(boards: &[Vec<Node<T>>], spot: Spot) -> Option<&T> {
    match boards.get(spot.0 as usize / BOARD)?.get(spot.0 as usize % BOARD)? {
        Node::Taken { thing, .. } => Some(thing),
        Node::Free { .. } => None,
    }
}

/// Frees a spot, and returns what lay there.
fn clear<T>(boards: &mut [Vec<Node<T>>], free: &mut u32, spot: Spot) -> Option<T> {
    let node = node_mut(boards, spot)?;
    match std::mem::replace(node, Node::Free { next: *free }) {
        Node::Taken { thing, .. } => {
            *free = spot.0;
            Some(thing)
        }
        was_free @ Node::Free { .. } => {
            *node = was_free;
            None
        }
    }
}

/// Notes where in the order a thing is from now on. Returns where it was.
fn set_position<T>(boards: &mut [Vec<Node<T>>], spot: Spot, new: Position) -> Position {
    match node_mut(boards, spot) {
        Some(Node::Taken { position, .. }) => std::mem::replace(position, new),
        Some(Node::Free { .. }) | None => Position::OUTSIDE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_order(mut recency: Recency<u32>) -> Vec<u32> {
        recency.remove_oldest(usize::MAX, |_| true).into_iter().map(|(_, thing)| thing).collect()
    }

    #[test]
    fn a_thing_out_of_the_order_is_never_the_oldest() {
        let mut recency = Recency::default();
        let spots: Vec<_> = (0..3).map(|n| recency.insert(n)).collect();
        assert_eq!(recency.remove_oldest(3, |_| true), []);
        for spot in &spots {
            recency.settle(*spot);
        }
        recency.hold(spots[0]);
        assert_eq!(recency.remove_oldest(1, |_| true), [(spots[1], 1)]);
        recency.settle(spots[0]);
        assert_eq!(in_order(recency), [2, 0]);
    }

    #[test]
    fn only_those_that_are_due_go_and_the_first_that_is_not_ends_it() {
        let mut recency = Recency::default();
        for n in [1, 2, 9, 3] {
            let spot = recency.insert(n);
            recency.settle(spot);
        }
        let due: Vec<u32> = recency.remove_oldest(10, |n| *n < 5).into_iter().map(|(_, n)| n).collect();
        assert_eq!((due, in_order(recency)), (vec![1, 2], vec![9, 3]));
    }

    /// What is done to the things, many or few at a time, so that whole segments of the order fill and empty.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert,
        Settle,
        Hold,
        Remove,
    }

    fn steps() -> impl Strategy<Value = Vec<(Step, usize, usize)>> {
        let step = prop_oneof![Just(Step::Insert), Just(Step::Settle), Just(Step::Hold), Just(Step::Remove)];
        prop::collection::vec((step, 0usize..2000, prop_oneof![1usize..4, 1usize..1500]), 0..60)
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_plain_list(steps in steps(), stride in prop_oneof![Just(1usize), Just(7)]) {
            let mut recency = Recency::default();
            let (mut spots, mut used, mut clock) = (vec![None; 2000], std::collections::BTreeMap::new(), 0);
            let mut last_used = vec![None; 2000];
            for (step, from, many) in steps {
                for n in (0..many).map(|n| (from + n * stride) % 2000) {
                    let thing = u32::try_from(n).unwrap();
                    let forgotten: Option<i32> = match (step, spots[n]) {
                        (Step::Insert, None) => {
                            spots[n] = Some(recency.insert(thing));
                            None
                        }
                        (Step::Settle, Some(spot)) => {
                            recency.settle(spot);
                            clock += 1;
                            used.insert(clock, thing);
                            last_used[n].replace(clock)
                        }
                        (Step::Hold, Some(spot)) => {
                            recency.hold(spot);
                            last_used[n].take()
                        }
                        (Step::Remove, Some(spot)) => {
                            prop_assert_eq!(recency.remove(spot), Some(thing));
                            spots[n] = None;
                            last_used[n].take()
                        }
                        _ => None,
                    };
                    forgotten.map(|clock| used.remove(&clock));
                }
            }
            for (n, spot) in spots.iter().enumerate() {
                let thing = spot.and_then(|spot| recency.get(spot)).copied();
                prop_assert_eq!(thing, spot.map(|_| u32::try_from(n).unwrap()));
            }
            prop_assert_eq!(in_order(recency), used.into_values().collect::<Vec<_>>());
        }
    }
}
