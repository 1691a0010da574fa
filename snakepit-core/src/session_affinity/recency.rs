//! Things kept in the order of their last use, each found again by its place. A list woven through one vector: a million
//! of them cost two numbers each for the order, and every step takes the same time.

/// Where a thing lies, until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot(u32);

const NONE: u32 = u32::MAX;

/// Things in the order of their last use; some may be held out of the order for a while.
#[derive(Debug)]
pub(super) struct Recency<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Debug)]
struct Node<T> {
    thing: Option<T>,
    /// The next older one; its own spot while it is out of the order.
    older: u32,
    newer: u32,
}

impl<T> Default for Recency<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl<T> Recency<T> {
    /// Keeps a thing, out of the order for now.
    pub(super) fn insert(&mut self, thing: T) -> Spot {
        let node = |spot| Node { thing: Some(thing), older: spot, newer: spot };
        if let Some(spot) = self.free.pop() {
            self.nodes[spot as usize] = node(spot);
            return Spot(spot);
        }
        let spot = u32::try_from(self.nodes.len()).expect("fewer things than 2^32, by the limit of sessions");
        self.nodes.push(node(spot));
        Spot(spot)
    }

    /// Takes a thing out for good.
    pub(super) fn remove(&mut self, spot: Spot) -> Option<T> {
        self.hold(spot);
        let thing = self.nodes.get_mut(spot.0 as usize)?.thing.take()?;
        self.free.push(spot.0);
        Some(thing)
    }

    pub(super) fn get(&self, spot: Spot) -> Option<&T> {
        self.nodes.get(spot.0 as usize)?.thing.as_ref()
    }

    pub(super) fn get_mut(&mut self, spot: Spot) -> Option<&mut T> {
        self.nodes.get_mut(spot.0 as usize)?.thing.as_mut()
    }

    /// Takes a thing out of the order: it is in use.
    pub(super) fn hold(&mut self, spot: Spot) {
        let Some(node) = self.nodes.get_mut(spot.0 as usize) else { return };
        let (older, newer) = (node.older, node.newer);
        if older == spot.0 {
            return;
        }
        (node.older, node.newer) = (spot.0, spot.0);
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }

    /// Puts a thing into the order as the one that was used last.
    pub(super) fn settle(&mut self, spot: Spot) {
        self.hold(spot);
        let newest = self.newest;
        let Some(node) = self.nodes.get_mut(spot.0 as usize) else { return };
        (node.older, node.newer) = (newest, NONE);
        match self.nodes.get_mut(newest as usize) {
            Some(node) => node.newer = spot.0,
            None => self.oldest = spot.0,
        }
        self.newest = spot.0;
    }

    /// The thing in the order that has not been used for longest.
    pub(super) fn oldest(&self) -> Option<(Spot, &T)> {
        let node = self.nodes.get(self.oldest as usize)?;
        node.thing.as_ref().map(|thing| (Spot(self.oldest), thing))
    }

    /// Every thing, in no order.
    pub(super) fn spots(&self) -> impl Iterator<Item = Spot> + use<T> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(NONE)).map(Spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_order(mut recency: Recency<u32>) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (spot, _) = recency.oldest()?;
            recency.remove(spot)
        })
        .collect()
    }

    #[test]
    fn a_thing_out_of_the_order_is_never_the_oldest() {
        let mut recency = Recency::default();
        let spots: Vec<_> = (0..3).map(|n| recency.insert(n)).collect();
        assert!(recency.oldest().is_none());
        for spot in &spots {
            recency.settle(*spot);
        }
        recency.hold(spots[0]);
        assert_eq!(recency.oldest().map(|(_, n)| *n), Some(1));
        recency.settle(spots[0]);
        assert_eq!(in_order(recency), [1, 2, 0]);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_plain_list(steps in prop::collection::vec((0u8..4, 0usize..6), 0..100)) {
            let mut recency = Recency::default();
            let (mut spots, mut plain) = ([None; 6], Vec::new());
            for (step, n) in steps {
                let thing = u32::try_from(n).unwrap();
                match (step, spots[n]) {
                    (0, None) => spots[n] = Some(recency.insert(thing)),
                    (1, Some(spot)) => {
                        recency.settle(spot);
                        plain.retain(|other| *other != thing);
                        plain.push(thing);
                    }
                    (2, Some(spot)) => {
                        recency.hold(spot);
                        plain.retain(|other| *other != thing);
                    }
                    (3, Some(spot)) => {
                        prop_assert_eq!(recency.remove(spot), Some(thing));
                        plain.retain(|other| *other != thing);
                        spots[n] = None;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(in_order(recency), plain);
        }
    }
}
