//! The dynamic supervisor: children that come and go, alike and independent.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::advice::{SpecWarning, warnings};
use crate::blueprint::Blueprint;
use crate::child::{ChildId, ChildSettings, ChildSpec};
use crate::core::message::Kind;
use crate::error::{Gone, SpecError, StartChildError, StartError, StillRunning, TerminateChildError};
use crate::explain::Explanation;
use crate::handle::{ChildCounts, ChildSummary, ChildTarget, Handle, StartedChild};
use crate::report::ReportSink;
use crate::restart::{RestartIntensity, RestartPolicy};
use crate::tree::TreeNode;

/// A dynamic supervisor, before it lives: starts empty, one-for-one, stops all children at once.
///
/// Its children share one budget of restarts, as in Elixir: four that crash once within 5 s end it and all others.
/// Where that is not wanted, make each child a temporary [`StarterSpec`](crate::StarterSpec).
#[derive(Clone)]
pub struct DynamicSupervisorSpec(Blueprint);

impl DynamicSupervisorSpec {
    /// 3 restarts in 5 s, each at once; any number of children.
    pub fn new(id: impl Into<ChildId>) -> Self {
        Self(Blueprint::new(id.into(), Kind::Dynamic { max_children: None }))
    }

    /// Sets the budget of restarts, and nothing else of the policy.
    pub fn intensity(mut self, intensity: RestartIntensity) -> Self {
        self.0.policy.intensity = intensity;
        self
    }

    /// Sets the whole policy of restarts.
    pub fn policy(mut self, policy: RestartPolicy) -> Self {
        self.0.policy = policy;
        self
    }

    /// Sets how many children there may be, those that wait for a restart included.
    pub fn max_children(mut self, limit: usize) -> Self {
        self.0.kind = Kind::Dynamic { max_children: Some(limit) };
        self
    }

    /// Sets how many children may be starting at once; further ones wait. At least 1.
    pub fn max_concurrent_starts(mut self, limit: usize) -> Self {
        self.0.max_concurrent_starts = Some(limit);
        self
    }

    /// Sets an argument that every start sees: [`StartContext::extra`](crate::StartContext::extra).
    pub fn extra_arguments<T: Any + Send + Sync>(mut self, extra: T) -> Self {
        self.0.extra = Some(Arc::new(extra));
        self
    }

    /// Sets where reports go.
    pub fn reports(mut self, sink: ReportSink) -> Self {
        self.0.reports = Some(sink);
        self
    }

    /// Sets how long a killed child is waited for, before it is reported as unstoppable. Default 5 s.
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.0.kill_grace = grace;
        self
    }

    /// Registers the supervisor under a name of ractor's registry, which is one for the whole program.
    pub fn registered_as(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// Sets the seed of its chance, so that jitter is the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = Some(seed);
        self
    }

    /// A handle that is valid before the start and over restarts. Clones of the spec share it.
    pub fn handle(&self) -> DynamicSupervisorRef {
        DynamicSupervisorRef(self.0.handle())
    }

    /// Checks the spec, and warns about settings that fight each other.
    ///
    /// # Errors
    /// [`SpecError`] if it cannot be right; a start would fail with the same.
    pub fn check(&self) -> Result<Vec<SpecWarning>, SpecError> {
        self.0.check()?;
        Ok(warnings(&self.0))
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`StartError`] when the spec cannot be right, or its name is taken.
    pub async fn start(self) -> Result<DynamicSupervisorRef, StartError> {
        self.0.start(None).await.map(DynamicSupervisorRef)
    }

    /// The same, linked to an actor of one's own: when that ends, the supervisor is killed, and it hears of the
    /// supervisor's end.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`StartError::ParentGone`] when the parent is stopping.
    pub async fn start_linked(self, parent: ActorCell) -> Result<DynamicSupervisorRef, StartError> {
        self.0.start(Some(parent)).await.map(DynamicSupervisorRef)
    }

    /// Makes it a child of another supervisor: permanent, no limit on start and stop.
    pub fn into_child(self) -> ChildSpec {
        self.0.into_child()
    }
}

impl fmt::Debug for DynamicSupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicSupervisorSpec")
            .field("id", &self.0.id)
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}

/// A handle to a dynamic supervisor. Valid before its start and over its restarts.
#[derive(Clone, Debug)]
pub struct DynamicSupervisorRef(Handle);

impl DynamicSupervisorRef {
    /// The id that its spec gave it.
    pub fn id(&self) -> &ChildId {
        &self.0.id
    }

    /// The actor that it is just now.
    pub fn cell(&self) -> Option<ActorCell> {
        self.0.cell()
    }

    /// Asks it to stop: all its children at once, then itself, with this reason.
    pub fn stop(&self, reason: Option<String>) {
        self.0.stop(reason);
    }

    /// Stops it in order, within a time; then it is killed, and with it all that is left below it.
    ///
    /// # Errors
    /// [`StillRunning`] when the time was not enough.
    pub async fn shut_down(&self, limit: Duration) -> Result<(), StillRunning> {
        self.0.shut_down(limit).await
    }

    /// Waits until the present actor has ended.
    ///
    /// # Errors
    /// [`StillRunning`] when the limit is over first.
    pub async fn wait(&self, limit: Option<Duration>) -> Result<(), StillRunning> {
        self.0.wait(limit).await
    }

    /// Waits until it is another actor than now, or none: `None` for none.
    pub async fn changed(&mut self) -> Option<ActorCell> {
        self.0.changed().await
    }

    /// Draws the tree below it. Answers also while children are starting.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn snapshot(&self) -> Result<TreeNode, Gone> {
        self.0.snapshot().await
    }

    /// Adds a child and starts it; several may have one id. `None` when its factory declined.
    ///
    /// # Errors
    /// [`StartChildError`]; the child is then not kept, and nobody tries again.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Option<StartedChild>, StartChildError> {
        self.0.start_child(spec).await
    }

    /// Stops a child and forgets it; returns when it is gone.
    ///
    /// # Errors
    /// [`TerminateChildError::NotFound`] when there is no such child.
    pub async fn terminate_child(&self, child: impl Into<ChildTarget>) -> Result<(), TerminateChildError> {
        self.0.terminate_child(child.into()).await
    }

    /// Lists the children, oldest first.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn which_children(&self) -> Result<Vec<ChildSummary>, Gone> {
        self.0.which_children().await
    }

    /// One child; `None` when there is no such child.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn which_child(&self, child: impl Into<ChildTarget>) -> Result<Option<ChildSummary>, Gone> {
        self.0.which_child(child.into()).await
    }

    /// Why a child is what it is: its last lives, why each began, and what came of it. `None` when there is none.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn explain(&self, child: impl Into<ChildTarget>) -> Result<Option<Explanation>, Gone> {
        self.0.explain(child.into()).await
    }

    /// How many elementary steps its decisions have taken so far: what they cost, told without a clock.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn effort(&self) -> Result<u64, Gone> {
        self.0.effort().await
    }

    /// Counts the children.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn count_children(&self) -> Result<ChildCounts, Gone> {
        self.0.count_children().await
    }

    /// The settings of the oldest child with this id; `None` when there is none.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn get_childspec(&self, id: impl Into<ChildId>) -> Result<Option<ChildSettings>, Gone> {
        self.0.get_childspec(id.into()).await
    }
}
