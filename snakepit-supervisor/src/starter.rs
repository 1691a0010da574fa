//! The starter: one permanent child, with a budget of restarts of its own.
//!
//! Under a dynamic supervisor the budget is one for all children, so one that keeps failing ends the others. A starter
//! between the two takes the failures on itself: when its child cannot be kept alive it says so with
//! [`GaveUp`](crate::GaveUp) and ends. There is never a starter without a child that is up, starting, or waiting
//! for its restart.

use std::fmt;
use std::time::Duration;

use ractor::ActorCell;

use crate::blueprint::Blueprint;
use crate::child::{ChildId, ChildSpec, Restart};
use crate::core::message::Kind;
use crate::error::{Gone, StillRunning};
use crate::explain::Explanation;
use crate::handle::{ChildTarget, Handle};
use crate::report::ReportSink;
use crate::restart::RestartPolicy;
use crate::supervisor::Strategy;
use crate::tree::TreeNode;

/// A starter, before it lives.
#[derive(Clone)]
pub struct StarterSpec(Blueprint);

impl StarterSpec {
    /// A starter for this worker. Whatever the worker's spec says, it becomes permanent: any end that nobody asked
    /// for is a failure, also a clean one.
    pub fn new(id: impl Into<ChildId>, worker: ChildSpec, policy: RestartPolicy) -> Self {
        let mut blueprint = Blueprint::new(id.into(), Kind::Static(Strategy::OneForOne));
        blueprint.policy = policy;
        blueprint.children = vec![worker.restart(Restart::Permanent).significant(false)];
        Self(blueprint)
    }

    /// Sets where reports go, [`Report::GaveUp`](crate::Report::GaveUp) among them.
    pub fn reports(mut self, sink: ReportSink) -> Self {
        self.0.reports = Some(sink);
        self
    }

    /// Sets how long a killed child is waited for, before it is reported as unstoppable. Default 5 s.
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.0.kill_grace = grace;
        self
    }

    /// Sets the seed of its chance, so that jitter is the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = Some(seed);
        self
    }

    /// A handle that is valid before the start.
    pub fn handle(&self) -> StarterRef {
        StarterRef(self.0.handle())
    }

    /// Makes it a child of another supervisor: temporary, no limit on start and stop.
    ///
    /// Temporary, so that one that gave up costs its supervisor nothing.
    pub fn into_child(self) -> ChildSpec {
        self.0.into_child().restart(Restart::Temporary)
    }
}

impl fmt::Debug for StarterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StarterSpec")
            .field("id", &self.0.id)
            .field("policy", &self.0.policy)
            .field("children", &self.0.children)
            .finish_non_exhaustive()
    }
}

/// A handle to a starter.
#[derive(Clone, Debug)]
pub struct StarterRef(Handle);

impl StarterRef {
    /// The id that its spec gave it.
    pub fn id(&self) -> &ChildId {
        &self.0.id
    }

    /// The actor that it is just now.
    pub fn cell(&self) -> Option<ActorCell> {
        self.0.cell()
    }

    /// Asks it to stop: its child, then itself, with this reason.
    pub fn stop(&self, reason: Option<String>) {
        self.0.stop(reason);
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`StillRunning`] when the limit is over first.
    pub async fn wait(&self, limit: Option<Duration>) -> Result<(), StillRunning> {
        self.0.wait(limit).await
    }

    /// Says why its child is what it is. Answers also while the child is starting.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn explain(&self, child: impl Into<ChildId>) -> Result<Option<Explanation>, Gone> {
        self.0.explain(ChildTarget::Id(child.into())).await
    }

    /// Draws it and its child. Answers also while the child is starting.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn snapshot(&self) -> Result<TreeNode, Gone> {
        self.0.snapshot().await
    }
}
