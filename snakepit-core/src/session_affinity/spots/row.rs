//! One table of the index: places in a row, each with a hash and a spot. Whoever finds its place taken stands in the next
//! one that is free (linear probing: Knuth, The Art of Computer Programming 3, section 6.4).
//!
//! What makes it worth having beside the well-kept tables of others: a million sessions are in no cache, so a look-up costs
//! what it waits for memory. Here hash and spot lie together, and it waits once.

use crate::session_affinity::recency::Spot;
use crate::session_affinity::spots::Hash;

/// How many places a row begins with; from then on it doubles.
const FIRST: usize = 8;

/// A place of the row. Free where its spot is [`Spot::NOWHERE`].
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: Hash,
    spot: Spot,
}

const FREE: Place = Place { hash: Hash(0), spot: Spot::NOWHERE };

/// Hashes and their spots.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// A power of two of them, or none. At least a quarter is free, so that every search ends.
    places: Vec<Place>,
    len: usize,
}

impl Row {
    /// The spot with this hash that is the one.
    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(Spot) -> bool) -> Option<Spot> {
        self.at(hash, is_it).map(|at| self.places[at].spot)
    }

    /// Notes a spot that is not there yet.
    pub(super) fn insert(&mut self, hash: Hash, spot: Spot) {
        if (self.len + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.place(Place { hash, spot });
        self.len += 1;
    }

    /// Forgets a spot. Says whether it was there.
    pub(super) fn remove(&mut self, hash: Hash, spot: Spot) -> bool {
        let Some(at) = self.at(hash, |other| other == spot) else { return false };
        self.close(at);
        self.len -= 1;
        true
    }

    fn at(&self, hash: Hash, is_it: impl Fn(Spot) -> bool) -> Option<usize> {
        let mut at = hash.place() & self.mask()?;
        loop {
            let place = self.places[at];
            if place.spot == Spot::NOWHERE {
                return None;
            }
            if place.hash == hash && is_it(place.spot) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn place(&mut self, place: Place) {
        let mut at = place.hash.place() & (self.places.len() - 1);
        while self.places[at].spot != Spot::NOWHERE {
            at = self.after(at);
        }
        self.places[at] = place;
    }

    /// Frees a place, and moves up whoever stands behind it only because it was taken.
    fn close(&mut self, mut free: usize) {
        let mask = self.places.len() - 1;
        let mut at = free;
        loop {
            at = self.after(at);
            let place = self.places[at];
            if place.spot == Spot::NOWHERE {
                break;
            }
            let from_home = at.wrapping_sub(place.hash.place()) & mask;
            if from_home >= at.wrapping_sub(free) & mask {
                self.places[free] = place;
                free = at;
            }
        }
        self.places[free] = FREE;
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(FIRST);
        let before = std::mem::replace(&mut self.places, vec![FREE; size]);
        for place in before.into_iter().filter(|place| place.spot != Spot::NOWHERE) {
            self.place(place);
        }
    }

    /// The place that comes next, in a circle.
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn mask(&self) -> Option<usize> {
        self.places.len().checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_without_places_holds_nothing() {
        let mut row = Row::default();
        assert_eq!(row.find(Hash(7), |_| true), None);
        assert!(!row.remove(Hash(7), Spot::at(0)));
    }

    #[test]
    fn spots_with_one_hash_are_told_apart() {
        let mut row = Row::default();
        for n in 0..20 {
            row.insert(Hash(7), Spot::at(n));
        }
        assert!(row.remove(Hash(7), Spot::at(3)));
        assert_eq!(row.find(Hash(7), |spot| spot == Spot::at(3)), None);
        assert_eq!(row.find(Hash(7), |spot| spot == Spot::at(19)), Some(Spot::at(19)));
    }

    proptest! {
        /// Few homes and many spots, so that they stand in one another's places, also around the end.
        #[test]
        fn it_is_a_plain_map_whatever_comes_and_goes(
            steps in prop::collection::vec((any::<bool>(), 0u32..60, 0u32..12), 0..400),
        ) {
            let (mut row, mut plain) = (Row::default(), HashMap::new());
            for (comes, number, home) in steps {
                // The lowest byte says which row, and is all one here.
                let (spot, hash) = (Spot::at(number), Hash(home.wrapping_sub(4) << u8::BITS));
                match plain.get(&number).copied() {
                    None if comes => {
                        row.insert(hash, spot);
                        plain.insert(number, hash);
                    }
                    Some(hash) if !comes => {
                        prop_assert!(row.remove(hash, spot));
                        plain.remove(&number);
                    }
                    _ => {}
                }
                prop_assert_eq!(row.len, plain.len());
            }
            for number in 0..60 {
                let (spot, hash) = (Spot::at(number), plain.get(&number).copied());
                prop_assert_eq!(hash.and_then(|hash| row.find(hash, |other| other == spot)), hash.map(|_| spot));
                prop_assert_eq!(hash.is_none(), (0..12).all(|home: u32| {
                    row.find(Hash(home.wrapping_sub(4) << u8::BITS), |other| other == spot).is_none()
                }));
            }
        }
    }
}
