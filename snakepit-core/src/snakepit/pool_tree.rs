//! The supervision tree of one pool: Starters, session affinity, pool, in this order, rest-for-one; above them who tries
//! them again when they have spent their budget.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use snakepit_supervisor::{
    ChildSpec, DynamicSupervisorSpec, GaveUp, QuarantinePolicy, Report, ReportSink, Restart,
    RestartIntensity, RestartPolicy, Shutdown, StarterSpec, Strategy, SupervisorRef, SupervisorSpec,
};

use crate::config::CheckedPoolConfig;
use crate::error::{LossCause, WorkerLoss};
use crate::id::Slot;
use crate::pool::{Pool, PoolArgs, PoolRef, PoolShared, SlotReport};
use crate::process::Launcher;
use crate::process_registry::ProcessRegistryRef;
use crate::session_affinity::{SessionAffinity, SessionAffinityArgs};
use crate::snakepit::reports;
use crate::worker::{Worker, WorkerArgs, WorkerExit};

/// What a worker needs beyond its graces to say its farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// A pool that can be started, and the ways to it.
pub(crate) struct PoolTree {
    pub(crate) pool: PoolRef,
    pub(crate) supervisor: SupervisorRef,
    pub(crate) spec: ChildSpec,
}

impl PoolTree {
    /// Describes the tree. Nothing starts yet.
    pub(crate) fn new(
        config: &CheckedPoolConfig,
        shared: &Arc<PoolShared>,
        registry: &ProcessRegistryRef,
        launcher: &Launcher,
        data_dir: &Path,
    ) -> Self {
        let id = format!("pool {}", shared.name);
        // No budget of its own to exhaust: a Starter is temporary, so its end never counts.
        let starters = DynamicSupervisorSpec::new("starters");
        let worker = WorkerArgs {
            pool: Arc::clone(shared),
            adapter: Arc::clone(&config.adapter),
            registry: registry.clone(),
            launcher: launcher.clone(),
            data_dir: data_dir.to_owned(),
        };
        let pool = PoolArgs {
            shared: Arc::clone(shared),
            starters: starters.handle(),
            starter: Arc::new(move |slot| starter(&worker, slot)),
            sessions: shared.sessions.clone(),
        };
        let affinity = SessionAffinityArgs::new(shared.sessions.clone(), Arc::clone(shared));
        let actors = SupervisorSpec::new("actors")
            .strategy(Strategy::RestForOne)
            .reports(reports::of_pool(shared))
            .child(starters.into_child())
            .child(ChildSpec::worker("session affinity", move || (SessionAffinity, affinity.clone())))
            .child(ChildSpec::worker("pool", move || (Pool, pool.clone())));
        let events = shared.events().clone();
        let supervisor = SupervisorSpec::new(id.as_str())
            .policy(patient())
            .reports(ReportSink::new(move |report| reports::tell(&report, &events)))
            .child(actors.into_child());
        Self {
            pool: PoolRef::new(Arc::clone(shared)),
            supervisor: supervisor.handle(),
            // Transient: a pool that was told to stop stays down; the others go on.
            spec: supervisor.into_child().restart(Restart::Transient),
        }
    }
}

/// How a pool is tried again whose own actors have spent their budget: for ever, and after longer and longer rests. What
/// failed was a supervisor with a budget of its own, so there is nothing left to be counted here.
fn patient() -> RestartPolicy {
    RestartPolicy {
        intensity: RestartIntensity { limit: u32::MAX, ..RestartIntensity::default() },
        consecutive_limit: None,
        backoff: Some(QuarantinePolicy::default().backoff),
        ..RestartPolicy::default()
    }
}

/// The Starter of a slot: it starts the slot's worker anew, and says so when it gives up.
fn starter(worker: &WorkerArgs, slot: Slot) -> ChildSpec {
    let (shared, options) = (Arc::clone(&worker.pool), &worker.pool.options);
    let patience = options.stop_grace.saturating_add(options.kill_grace).saturating_add(FAREWELL);
    let args = worker.clone();
    let child = ChildSpec::worker(shared.worker(slot).to_string(), move || {
        (Worker::new(args.pool.next_life(slot), &args), args.clone())
    })
    .shutdown(Shutdown::Timeout(patience));
    let id = format!("starter {}", shared.worker(slot));
    let policy = options.restart_policy();
    let reports = ReportSink::new(move |report| match report {
        Report::GaveUp(gave_up) => {
            shared.plan().starter_gone(slot);
            let loss = last_loss(&shared, slot, &gave_up);
            shared.gives_up(slot, gave_up.reason.to_string(), &loss);
            shared.reporter().slot(SlotReport::GaveUp { loss });
        }
        other => reports::tell(&other, shared.events()),
    });
    let starter = StarterSpec::new(id, child, policy).reports(reports);
    worker.pool.starter_is(slot, starter.handle());
    starter.into_child()
}

/// The loss that made a Starter give up. A worker's actor that was ended from outside does not say it itself.
fn last_loss(shared: &PoolShared, slot: Slot, gave_up: &GaveUp) -> Arc<WorkerLoss> {
    if let Some(exit) = gave_up.last.downcast_ref::<WorkerExit>() {
        Arc::clone(&exit.loss)
    } else {
        Arc::new(WorkerLoss {
            life: shared.present_life(slot),
            cause: LossCause::ActorEnded,
            stderr_tail: Vec::new(),
        })
    }
}
