//! The static supervisor: children that are known beforehand, in an order that means something.

use std::fmt;
use std::time::Duration;

use ractor::ActorCell;
use serde::Serialize;

use crate::advice::{SpecWarning, warnings};
use crate::blueprint::Blueprint;
use crate::child::{ChildId, ChildSettings, ChildSpec};
use crate::core::message::Kind;
use crate::error::{
    DeleteChildError, Gone, RestartChildError, SpecError, StartChildError, StartError, StillRunning,
    TerminateChildError,
};
use crate::explain::Explanation;
use crate::handle::{ChildCounts, ChildSummary, ChildTarget, Handle, StartedChild};
use crate::report::ReportSink;
use crate::restart::{RestartIntensity, RestartPolicy};
use crate::tree::TreeNode;

/// Which children are restarted when one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// That one alone.
    #[default]
    OneForOne,
    /// All: the others are stopped, newest first, then all are started in order.
    OneForAll,
    /// That one and all that were started after it.
    RestForOne,
}

/// Whether the end of significant children ends their supervisor.
///
/// A significant child counts when it ends by itself and is not restarted: a transient one that ends in order,
/// a temporary one in any way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not; no child may be significant.
    #[default]
    Never,
    /// The first such end does.
    AnySignificant,
    /// The last one does.
    AllSignificant,
}

/// A static supervisor, before it lives.
#[derive(Clone)]
pub struct SupervisorSpec(pub(crate) Blueprint);

impl SupervisorSpec {
    /// One-for-one, 3 restarts in 5 s, each at once, no children yet.
    pub fn new(id: impl Into<ChildId>) -> Self {
        Self(Blueprint::new(id.into(), Kind::Static(Strategy::OneForOne)))
    }

    /// Sets which children are restarted when one fails.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.0.kind = Kind::Static(strategy);
        self
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

    /// Sets whether the end of significant children ends the supervisor.
    pub fn auto_shutdown(mut self, mode: AutoShutdown) -> Self {
        self.0.auto_shutdown = mode;
        self
    }

    /// Adds a child, after those before.
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.0.children.push(child);
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
    pub fn handle(&self) -> SupervisorRef {
        SupervisorRef(self.0.handle())
    }

    /// Checks the specs of it and of all supervisors below it, and warns about those that fight each other.
    ///
    /// # Errors
    /// [`SpecError`] for the first that cannot be right; a start would fail with the same.
    pub fn check(&self) -> Result<Vec<SpecWarning>, SpecError> {
        self.0.check()?;
        Ok(warnings(&self.0))
    }

    /// Starts it, and returns when all its children are up.
    ///
    /// # Errors
    /// [`StartError`] when the specs do not hold together, or when a child does not start; then those before it have
    /// been stopped again, newest first.
    ///
    /// # Cancellation
    /// Dropping the future stops what had been started.
    pub async fn start(self) -> Result<SupervisorRef, StartError> {
        self.0.start(None).await.map(SupervisorRef)
    }

    /// The same, linked to an actor of one's own: when that ends, the supervisor is killed, and it hears of the
    /// supervisor's end.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`StartError::ParentGone`] when the parent is stopping.
    pub async fn start_linked(self, parent: ActorCell) -> Result<SupervisorRef, StartError> {
        self.0.start(Some(parent)).await.map(SupervisorRef)
    }

    /// Makes it a child of another supervisor: permanent, no limit on start and stop.
    pub fn into_child(self) -> ChildSpec {
        self.0.into_child()
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("id", &self.0.id)
            .field("kind", &self.0.kind)
            .field("children", &self.0.children)
            .finish_non_exhaustive()
    }
}

/// A handle to a static supervisor. Valid before its start and over its restarts.
#[derive(Clone, Debug)]
pub struct SupervisorRef(pub(crate) Handle);

impl SupervisorRef {
    /// The id that its spec gave it.
    pub fn id(&self) -> &ChildId {
        &self.0.id
    }

    /// The actor that it is just now.
    pub fn cell(&self) -> Option<ActorCell> {
        self.0.cell()
    }

    /// Asks it to stop: its children in reverse order, then itself, with this reason.
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

    /// Adds a child, as the newest, and starts it. `None` when its factory declined.
    ///
    /// # Errors
    /// [`StartChildError`]; the child is then not kept, and nobody tries again.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Option<StartedChild>, StartChildError> {
        self.0.start_child(spec).await
    }

    /// Stops a child, and returns when it is gone. Its spec stays, unless it is temporary.
    ///
    /// # Errors
    /// [`TerminateChildError::NotFound`] when there is no such child. A stopped one is fine.
    pub async fn terminate_child(&self, child: impl Into<ChildTarget>) -> Result<(), TerminateChildError> {
        self.0.terminate_child(child.into()).await
    }

    /// Starts a stopped child again, in its old place. `None` when its factory declined.
    ///
    /// # Errors
    /// [`RestartChildError`]; on a failed start the child stays stopped, and nobody tries again.
    pub async fn restart_child(
        &self,
        id: impl Into<ChildId>,
    ) -> Result<Option<StartedChild>, RestartChildError> {
        self.0.restart_child(id.into()).await
    }

    /// Forgets a stopped child.
    ///
    /// # Errors
    /// [`DeleteChildError`] when it is not stopped.
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), DeleteChildError> {
        self.0.delete_child(id.into()).await
    }

    /// Lists the children, newest first, as OTP does.
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

    /// The settings of a child; `None` when there is no such child.
    ///
    /// # Errors
    /// [`Gone`] when it does not run.
    pub async fn get_childspec(&self, id: impl Into<ChildId>) -> Result<Option<ChildSettings>, Gone> {
        self.0.get_childspec(id.into()).await
    }
}
