//! The children of one supervisor: in start order, by id, and by deadline.

use std::collections::{BTreeMap, BTreeSet};

use crate::child::ChildId;
use crate::core::child::Child;
use crate::core::message::{ChildKey, Life};
use crate::moment::Moment;

/// The children, and the ways to find them. No operation but a walk over all takes longer than `log n`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    children: BTreeMap<ChildKey, Child>,
    ids: BTreeSet<(ChildId, ChildKey)>,
    deadlines: BTreeSet<(Moment, ChildKey)>,
}

impl Family {
    pub(crate) fn insert(&mut self, key: ChildKey, child: Child) {
        self.ids.insert((child.settings.id.clone(), key));
        self.children.insert(key, child);
    }

    pub(crate) fn remove(&mut self, key: ChildKey) -> Option<Child> {
        self.set_deadline(key, None);
        let child = self.children.remove(&key)?;
        self.ids.remove(&(child.settings.id.clone(), key));
        Some(child)
    }

    pub(crate) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.children.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.children.get_mut(&key)
    }

    /// The child whose present life this is.
    pub(crate) fn living(&mut self, life: Life) -> Option<&mut Child> {
        self.children.get_mut(&life.key).filter(|child| child.incarnation == life.incarnation)
    }

    /// The oldest child of that id. In a static supervisor there is at most one.
    pub(crate) fn find(&self, id: &ChildId) -> Option<ChildKey> {
        let first = (id.clone(), ChildKey(0));
        self.ids.range(first..).next().filter(|(found, _)| found == id).map(|&(_, key)| key)
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.children.iter().map(|(&key, child)| (key, child))
    }

    /// From one child to the newest.
    pub(crate) fn from(&self, key: ChildKey) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.children.range(key..).map(|(&key, child)| (key, child))
    }

    pub(crate) fn keys(&self) -> Vec<ChildKey> {
        self.children.keys().copied().collect()
    }

    /// Sets when a child's phase wants to be looked at again.
    pub(crate) fn set_deadline(&mut self, key: ChildKey, deadline: Option<Moment>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if let Some(old) = child.deadline {
            self.deadlines.remove(&(old, key));
        }
        child.deadline = deadline;
        if let Some(new) = deadline {
            self.deadlines.insert((new, key));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Takes the next child whose deadline has come.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<ChildKey> {
        let &(at, key) = self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.set_deadline(key, None);
        Some(key)
    }
}
