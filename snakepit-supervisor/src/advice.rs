//! Warnings about specs that are valid but fight each other.

use std::time::Duration;

use crate::blueprint::Blueprint;
use crate::child::{ChildId, ChildSpec, ChildType, Restart, Shutdown};
use crate::core::decision::{Group, group};
use crate::core::message::Kind;
use crate::restart::RestartPolicy;
use crate::supervisor::AutoShutdown;

/// Two settings that each make sense, and together do not. Found by [`check`](crate::SupervisorSpec::check).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecWarning {
    /// One round of restart takes so long that the window never holds enough of them: the supervisor would never
    /// give up. A [`consecutive_limit`](RestartPolicy::consecutive_limit) would.
    #[error("{supervisor}: a restart of {child} takes {cycle:?}, so {limit} in {period:?} is never exceeded")]
    WindowTooShort {
        /// Whose policy.
        supervisor: ChildId,
        /// For which child.
        child: ChildId,
        /// How long boot and stop usually take for those that restart with it.
        cycle: Duration,
        /// The restarts that the window allows.
        limit: u32,
        /// The window.
        period: Duration,
    },
    /// The delays between restarts are so long that the window never holds enough of them.
    #[error(
        "{supervisor}: the first {limit} delays add up to {delays:?}, so {limit} in {period:?} is never exceeded"
    )]
    BackoffOutlastsWindow {
        /// Whose policy.
        supervisor: ChildId,
        /// How long the delays are together, at their shortest.
        delays: Duration,
        /// The restarts that the window allows.
        limit: u32,
        /// The window.
        period: Duration,
    },
    /// A supervisor that is killed cannot stop its own children in order.
    #[error("{supervisor}: {child} is a supervisor and may be killed before its children are stopped")]
    FiniteShutdownOfSupervisor {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
    },
    /// A supervisor that ends by itself, and is started again for that.
    #[error(
        "{supervisor}: {child} shuts down by itself, but is permanent: each such end counts as a failure"
    )]
    PermanentWithAutoShutdown {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
    },
    /// A supervisor may be killed while its own children are still within their time.
    #[error("{supervisor}: {child} is given {limit:?} to stop, but its children may take {}", needed_text(*needed))]
    ShutdownsExceedLimit {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// What it is given.
        limit: Duration,
        /// What its children may take, one after the other; `None` for no limit.
        needed: Option<Duration>,
    },
}

fn needed_text(needed: Option<Duration>) -> String {
    needed.map_or_else(|| "any time".to_owned(), |needed| format!("{needed:?}"))
}

/// All warnings about a supervisor and what is below it.
pub(crate) fn warnings(blueprint: &Blueprint) -> Vec<SpecWarning> {
    let mut found = Vec::new();
    found.extend(policy_warning(blueprint));
    for (place, child) in blueprint.children.iter().enumerate() {
        found.extend(window_warning(blueprint, place, child));
        found.extend(supervisor_warnings(blueprint, child));
        if let Some(below) = &child.below {
            found.extend(warnings(below));
        }
    }
    found
}

fn policy_warning(blueprint: &Blueprint) -> Option<SpecWarning> {
    let RestartPolicy { intensity, consecutive_limit: None, backoff: Some(backoff), .. } = &blueprint.policy
    else {
        return None;
    };
    let shortest = (1..=intensity.limit).map(|nth| backoff.delay(nth, 1.0));
    let delays = shortest.fold(Duration::ZERO, Duration::saturating_add);
    (delays > intensity.period).then(|| SpecWarning::BackoffOutlastsWindow {
        supervisor: blueprint.id.clone(),
        delays,
        limit: intensity.limit,
        period: intensity.period,
    })
}

fn window_warning(blueprint: &Blueprint, place: usize, child: &ChildSpec) -> Option<SpecWarning> {
    let RestartPolicy { intensity, consecutive_limit: None, .. } = &blueprint.policy else { return None };
    if child.settings.restart == Restart::Temporary {
        return None;
    }
    let tied = match group(blueprint.kind) {
        Group::Alone => &[][..],
        Group::Rest => &blueprint.children[place + 1..],
        Group::All => &blueprint.children,
    };
    let stops = tied.iter().filter(|other| other.id() != child.id()).filter_map(|other| other.usual_stop);
    let cycle = stops.chain(child.usual_boot).fold(Duration::ZERO, Duration::saturating_add);
    (cycle.saturating_mul(intensity.limit) > intensity.period).then(|| SpecWarning::WindowTooShort {
        supervisor: blueprint.id.clone(),
        child: child.id().clone(),
        cycle,
        limit: intensity.limit,
        period: intensity.period,
    })
}

fn supervisor_warnings(blueprint: &Blueprint, child: &ChildSpec) -> Vec<SpecWarning> {
    let (supervisor, id) = (&blueprint.id, child.id());
    let mut found = Vec::new();
    if child.settings.kind == ChildType::Supervisor && child.settings.shutdown != Shutdown::Infinity {
        let (supervisor, child) = (supervisor.clone(), id.clone());
        found.push(SpecWarning::FiniteShutdownOfSupervisor { supervisor, child });
    }
    let Some(below) = &child.below else { return found };
    if below.auto_shutdown != AutoShutdown::Never && child.settings.restart == Restart::Permanent {
        let (supervisor, child) = (supervisor.clone(), id.clone());
        found.push(SpecWarning::PermanentWithAutoShutdown { supervisor, child });
    }
    if let Shutdown::Timeout(limit) = child.settings.shutdown {
        let needed = stop_time(below);
        if needed.is_none_or(|needed| needed > limit) {
            let (supervisor, child) = (supervisor.clone(), id.clone());
            found.push(SpecWarning::ShutdownsExceedLimit { supervisor, child, limit, needed });
        }
    }
    found
}

/// How long a supervisor may take to stop its first children; `None` for no limit.
fn stop_time(blueprint: &Blueprint) -> Option<Duration> {
    let times = blueprint.children.iter().map(|child| match (child.settings.shutdown, &child.below) {
        (Shutdown::BrutalKill, _) => Some(Duration::ZERO),
        (Shutdown::Timeout(limit), _) => Some(limit),
        (Shutdown::Infinity, Some(below)) => stop_time(below),
        (Shutdown::Infinity, None) => None,
    });
    match blueprint.kind {
        Kind::Static(_) => times.sum(),
        // Its children come later, and each stops beside the others.
        Kind::Dynamic { .. } => Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    use super::*;
    use crate::{Backoff, RestartIntensity, Strategy, SupervisorSpec};

    struct Idle;

    #[cfg_attr(feature = "async-trait", ractor::async_trait)]
    impl Actor for Idle {
        type Msg = crate::actor::message::SupervisorMessage;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    fn idle(id: &str) -> ChildSpec {
        ChildSpec::worker(id, || (Idle, ()))
    }

    fn said(spec: &SupervisorSpec) -> Vec<String> {
        spec.check().expect("valid").iter().map(ToString::to_string).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_ordinary_tree_gives_no_warning() {
        let inner = SupervisorSpec::new("inner").child(idle("w"));
        assert_eq!(said(&SupervisorSpec::new("top").child(inner.into_child()).child(idle("a"))), [""; 0]);
    }

    #[test]
    fn a_window_that_a_slow_boot_never_fills_is_named() {
        let spec = SupervisorSpec::new("top").child(idle("a").usual_boot(2 * SECOND));
        assert_eq!(said(&spec), ["top: a restart of a takes 2s, so 3 in 5s is never exceeded"]);
        let guarded = spec.policy(RestartPolicy { backoff: None, ..RestartPolicy::default() });
        assert_eq!(said(&guarded), [""; 0]);
    }

    #[test]
    fn the_stops_of_tied_siblings_count_into_the_round() {
        let spec = |strategy| {
            let tied = SupervisorSpec::new("top").strategy(strategy);
            tied.child(idle("a").usual_stop(2 * SECOND)).child(idle("b")).child(idle("c").usual_stop(SECOND))
        };
        let named = |strategy| said(&spec(strategy)).len();
        assert_eq!(named(Strategy::OneForOne), 0);
        // b and c would stop a; a would stop only c, in time.
        assert_eq!(named(Strategy::OneForAll), 2);
        assert_eq!(named(Strategy::RestForOne), 0);
    }

    #[test]
    fn a_backoff_longer_than_the_window_is_named() {
        let policy = RestartPolicy {
            intensity: RestartIntensity { limit: 3, period: 5 * SECOND },
            consecutive_limit: None,
            backoff: Some(Backoff {
                immediate_first: false,
                base: SECOND,
                jitter: 0.0,
                ..Backoff::default()
            }),
            ..RestartPolicy::default()
        };
        let spec = SupervisorSpec::new("top").policy(policy);
        assert_eq!(said(&spec), ["top: the first 3 delays add up to 7s, so 3 in 5s is never exceeded"]);
    }

    #[test]
    fn a_subtree_with_too_little_time_to_stop_is_named() {
        let inner = SupervisorSpec::new("inner").child(idle("x")).child(idle("y")).into_child();
        let spec = SupervisorSpec::new("top").child(inner.shutdown(Shutdown::Timeout(8 * SECOND)));
        assert_eq!(
            said(&spec),
            [
                "top: inner is a supervisor and may be killed before its children are stopped",
                "top: inner is given 8s to stop, but its children may take 10s",
            ]
        );
    }

    #[test]
    fn a_permanent_subtree_that_ends_by_itself_is_named() {
        let inner = SupervisorSpec::new("inner").auto_shutdown(AutoShutdown::AnySignificant);
        let inner = inner.child(idle("w").restart(Restart::Transient).significant(true)).into_child();
        let permanent = SupervisorSpec::new("top").child(inner.clone());
        assert_eq!(
            said(&permanent),
            ["top: inner shuts down by itself, but is permanent: each such end counts as a failure"]
        );
        assert_eq!(said(&SupervisorSpec::new("top").child(inner.restart(Restart::Transient))), [""; 0]);
    }
}
