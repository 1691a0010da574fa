//! The adapters that a file can name, and how each is made from its part of a pool's table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::adapter::Adapter;
use crate::config_file::fields::{self, Field};
use crate::config_file::node::Node;
use crate::config_file::problem::Problem;

type Make = dyn Fn(Node, &Path) -> Result<Arc<dyn Adapter>, Problem> + Send + Sync;

/// A kind of adapter.
pub(super) struct Kind {
    /// The keys that it reads; `None`: all that a pool itself does not.
    pub(super) fields: Option<Vec<Field>>,
    make: Box<Make>,
}

/// Kinds, by the name that files have for them.
#[derive(Default)]
pub(super) struct Kinds(BTreeMap<String, Kind>);

impl Kind {
    pub(super) fn new<O, A, E>(make: impl Fn(O, &Path) -> Result<A, E> + Send + Sync + 'static) -> Self
    where
        O: DeserializeOwned,
        A: Adapter,
        E: fmt::Display,
    {
        let make = move |node: Node, folder: &Path| {
            let place = node.place.clone();
            let adapter = make(O::deserialize(node)?, folder);
            let adapter =
                adapter.map_err(|error| Problem::value(error).under("adapter").standing_at(&place))?;
            Ok(Arc::new(adapter) as Arc<dyn Adapter>)
        };
        Self { fields: fields::of::<O>(), make: Box::new(make) }
    }

    /// Makes one. `folder` is where relative paths count from.
    pub(super) fn make(&self, options: Node, folder: &Path) -> Result<Arc<dyn Adapter>, Problem> {
        (self.make)(options, folder)
    }
}

impl Kinds {
    pub(super) fn insert(&mut self, name: String, kind: Kind) {
        self.0.insert(name, kind);
    }

    pub(super) fn find(&self, name: &str) -> Result<&Kind, Problem> {
        self.0.get(name).ok_or_else(|| Problem::unknown_text(name, &self.names()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Kind> {
        self.0.values()
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
