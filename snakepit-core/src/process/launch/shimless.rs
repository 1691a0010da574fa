//! Systems without shims: every worker is started by its host.

use std::path::Path;
use std::time::Duration;

use crate::process::launch::{Launcher, Spawned};
use crate::process::spawn::SpawnError;
use crate::process::tether::OnGone;
use crate::process::{Marker, ProcessIdentity, ProcessSpec};

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum ShimProgram {}

/// There is none.
#[derive(Debug)]
pub(super) enum GreetedShim {}

impl ShimProgram {
    /// # Errors
    /// Always: no program can be one here, whichever was named.
    pub(super) fn find(_named: Option<&Path>) -> Result<Self, String> {
        Err("shims need Linux".to_owned())
    }

    #[expect(clippy::unused_async, reason = "where there are shims, their answer is waited for")]
    pub(super) async fn probe(self) -> Result<Self, String> {
        match self {}
    }

    #[expect(clippy::unused_async, reason = "where there are shims, their answer is waited for")]
    pub(super) async fn prepare(
        self,
        _marker: Marker,
        _on_gone: OnGone,
        _launcher: &Launcher,
    ) -> Result<GreetedShim, SpawnError> {
        match self {}
    }
}

impl GreetedShim {
    pub(super) fn identity(&self) -> &ProcessIdentity {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "where there are shims, their answer is waited for")]
    pub(super) async fn go(
        self,
        _launcher: &Launcher,
        _spec: ProcessSpec,
        _stop_grace: Duration,
    ) -> Result<Spawned, SpawnError> {
        match self {}
    }
}
