//! A supervisor whose spec is made anew for every start, and that may decline to start.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use ractor::ActorCell;
use tokio::sync::watch;

use crate::blueprint::{Blueprint, spawn_below};
use crate::child::{ChildId, ChildSettings, ChildSpec};
use crate::error::{StartError, StartFailure};
use crate::handle::{Address, Handle};
use crate::offspring::StartFn;
use crate::supervisor::{SupervisorRef, SupervisorSpec};

type Init = Arc<dyn Fn() -> Result<Option<SupervisorSpec>, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// A supervisor whose spec is made by a function: OTP's `init/1`.
///
/// The function runs for every start, so that a restarted supervisor may have other children than its predecessor.
#[derive(Clone)]
pub struct SupervisorInit {
    id: ChildId,
    init: Init,
    address: Address,
}

impl SupervisorInit {
    /// A supervisor that `init` describes: `None` to start none this time (`supervisor.erl`, `ignore`).
    pub fn new<F>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn() -> Result<Option<SupervisorSpec>, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    {
        Self { id: id.into(), init: Arc::new(init), address: Arc::new(watch::Sender::new(None)) }
    }

    /// A handle that is valid before the start and over restarts.
    pub fn handle(&self) -> SupervisorRef {
        SupervisorRef(Handle { id: self.id.clone(), address: self.address.subscribe() })
    }

    /// Starts it, and returns when all its children are up: `None` when it declined.
    ///
    /// # Errors
    /// As [`SupervisorSpec::start`], and [`StartError::Init`] when the function failed.
    pub async fn start(&self) -> Result<Option<SupervisorRef>, StartError> {
        self.start_under(None).await
    }

    /// The same, linked to an actor of one's own.
    ///
    /// # Errors
    /// As [`SupervisorSpec::start_linked`], and [`StartError::Init`] when the function failed.
    pub async fn start_linked(&self, parent: ActorCell) -> Result<Option<SupervisorRef>, StartError> {
        self.start_under(Some(parent)).await
    }

    async fn start_under(&self, parent: Option<ActorCell>) -> Result<Option<SupervisorRef>, StartError> {
        let made = (self.init)().map_err(|error| StartError::Init(error.into()))?;
        match self.adopt(made) {
            None => Ok(None),
            Some(blueprint) => blueprint.start(parent).await.map(|handle| Some(SupervisorRef(handle))),
        }
    }

    /// Makes it a child of another supervisor: permanent, no limit on start and stop.
    pub fn into_child(self) -> ChildSpec {
        let settings = ChildSettings::supervisor(self.id.clone());
        let start: StartFn = Arc::new(move |context| {
            let made = (self.init)().map_err(StartFailure::from_error)?;
            match self.adopt(made) {
                None => Ok(None),
                Some(blueprint) => spawn_below(&Arc::new(blueprint), context),
            }
        });
        ChildSpec::new(settings, start)
    }

    /// The spec is the function's; the name and the address are ours, so that handles stay valid.
    fn adopt(&self, made: Option<SupervisorSpec>) -> Option<Blueprint> {
        let SupervisorSpec(mut blueprint) = made?;
        blueprint.id = self.id.clone();
        blueprint.address = Arc::clone(&self.address);
        Some(blueprint)
    }
}

impl fmt::Debug for SupervisorInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorInit").field("id", &self.id).finish_non_exhaustive()
    }
}
