//! What all kinds of supervisors are made from, and how one is brought to life.

use std::any::Any;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorRuntime, SpawnErr};
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::{SupervisorActor, SupervisorArguments};
use crate::child::{ChildId, ChildSettings, ChildSpec};
use crate::core::message::{CoreConfig, Kind};
use crate::error::{SpecError, StartError, StartFailure};
use crate::exit::SHUTDOWN;
use crate::handle::{Address, Handle};
use crate::offspring::{Birth, StartContext, StartFn};
use crate::report::ReportSink;
use crate::restart::{RestartIntensity, RestartPolicy};
use crate::supervisor::AutoShutdown;
use crate::validation::check_children;

/// How long a killed child is waited for unless the spec says otherwise: 5 s.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// A supervisor before it lives, of whatever kind.
#[derive(Clone)]
pub(crate) struct Blueprint {
    pub(crate) id: ChildId,
    pub(crate) kind: Kind,
    pub(crate) policy: RestartPolicy,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) kill_grace: Duration,
    pub(crate) max_concurrent_starts: Option<usize>,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) reports: Option<ReportSink>,
    pub(crate) name: Option<String>,
    pub(crate) extra: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) seed: Option<u64>,
    pub(crate) address: Address,
}

impl Blueprint {
    pub(crate) fn new(id: ChildId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            policy: RestartPolicy::otp(RestartIntensity::default()),
            auto_shutdown: AutoShutdown::Never,
            kill_grace: KILL_GRACE,
            max_concurrent_starts: None,
            children: Vec::new(),
            reports: None,
            name: None,
            extra: None,
            seed: None,
            address: Arc::new(watch::Sender::new(None)),
        }
    }

    pub(crate) fn core_config(&self) -> CoreConfig {
        CoreConfig {
            id: self.id.clone(),
            kind: self.kind,
            policy: self.policy.clone(),
            auto_shutdown: self.auto_shutdown,
            kill_grace: self.kill_grace,
            max_concurrent_starts: self.max_concurrent_starts,
            // A hasher of the standard library is seeded anew each time: chance enough for jitter.
            seed: self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()),
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle { id: self.id.clone(), address: self.address.subscribe() }
    }

    /// Checks it and all that is known to be below it.
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        if self.policy.intensity.period.is_zero() {
            return Err(SpecError::ZeroPeriod { id: self.id.clone() });
        }
        check_children(self.children.iter().map(|child| &child.settings), self.auto_shutdown)?;
        self.children.iter().filter_map(|child| child.below.as_ref()).try_for_each(|below| below.check())
    }

    /// Starts it, and waits until its children are up. On failure nothing of it is left.
    ///
    /// It is linked to its parent only then: a parent is not told of an end that the caller hears of already.
    pub(crate) async fn start(self, parent: Option<ActorCell>) -> Result<Handle, StartError> {
        self.check()?;
        let handle = self.handle();
        let (lineage, _descendants) = mpsc::channel(1);
        let (boot, booted) = oneshot::channel();
        let name = self.name.clone();
        let reports = self.reports.clone();
        let arguments = SupervisorArguments { blueprint: Arc::new(self), reports, boot };
        let (actor, _task) = ActorRuntime::spawn(name, SupervisorActor::new(lineage), arguments)
            .await
            .map_err(|error| match error {
                SpawnErr::ActorAlreadyRegistered(name) => StartError::NameTaken { name },
                SpawnErr::StartupFailed(_) | SpawnErr::ActorAlreadyStarted => StartError::Stopped,
            })?;
        let mut guard = StopUnlessBooted { handle: handle.clone(), armed: true };
        let cell = actor.get_cell();
        let outcome = tokio::select! {
            biased;
            outcome = booted => outcome.unwrap_or(Err(StartFailure::Stopped)),
            _ = cell.wait(None) => Err(StartFailure::Stopped),
        };
        if let Err(failure) = outcome {
            _ = cell.wait(None).await;
            guard.armed = false;
            return Err(match failure {
                StartFailure::Child { child, failure } => StartError::Child { child, failure: *failure },
                StartFailure::Invalid(error) => StartError::Invalid(error),
                _ => StartError::Stopped,
            });
        }
        if let Some(parent) = parent {
            cell.link(parent.clone());
            if cell.try_get_supervisor().as_ref() != Some(&parent) {
                handle.stop(Some(SHUTDOWN.to_owned()));
                _ = cell.wait(None).await;
                return Err(StartError::ParentGone);
            }
        }
        guard.armed = false;
        Ok(handle)
    }

    /// Makes it a child: started, supervised and stopped by another supervisor.
    pub(crate) fn into_child(self) -> ChildSpec {
        let settings = ChildSettings::supervisor(self.id.clone());
        let blueprint = Arc::new(self);
        let name = blueprint.name.clone();
        let below = Some(Arc::clone(&blueprint));
        let start: StartFn = Arc::new(move |context| spawn_below(&blueprint, context));
        ChildSpec { name, below, ..ChildSpec::new(settings, start) }
    }
}

pub(crate) fn spawn_below(
    blueprint: &Arc<Blueprint>,
    context: &StartContext,
) -> Result<Option<Birth>, StartFailure> {
    blueprint.check()?;
    let (lineage, descendants) = mpsc::channel(1);
    let (boot, booted) = oneshot::channel();
    let reports = blueprint.reports.clone().or_else(|| context.reports.clone());
    let arguments = SupervisorArguments { blueprint: Arc::clone(blueprint), reports, boot };
    let (actor, start) = ActorRuntime::spawn_linked_instant(
        context.name.clone(),
        SupervisorActor::new(lineage),
        arguments,
        context.supervisor.clone(),
    )
    .map_err(StartFailure::from_spawn)?;
    Ok(Some(Birth {
        cell: actor.get_cell(),
        start,
        boot: Some(booted),
        lineage: Some(descendants),
        info: None,
    }))
}

/// Stops a supervisor whose start was dropped half-way: nobody would hold it.
struct StopUnlessBooted {
    handle: Handle,
    armed: bool,
}

impl Drop for StopUnlessBooted {
    fn drop(&mut self) {
        if self.armed {
            self.handle.stop(Some(SHUTDOWN.to_owned()));
        }
    }
}
