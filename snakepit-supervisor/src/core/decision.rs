//! The decision tables: each rule of OTP's supervisor as one function over values.

use crate::child::{Restart, Shutdown};
use crate::core::child::Phase;
use crate::core::message::Kind;
use crate::exit::ExitReason;
use crate::supervisor::{AutoShutdown, Strategy};

/// What follows from the end of a child that nobody had asked for (`supervisor.erl, do_restart/3`).
#[must_use = "an exit that nobody acts on leaves the child dead"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitVerdict {
    /// It failed, and is to be restarted if the budget allows it.
    Restart,
    /// It failed, and asked not to be restarted.
    GiveUp,
    /// It may go. If `failed`, its end is reported.
    Leave { failed: bool },
}

/// | restart | clean | not clean | fatal |
/// |---|---|---|---|
/// | permanent | restart | restart | give up |
/// | transient | leave | restart | give up |
/// | temporary | leave | leave, report | leave, report |
pub(crate) fn on_exit(restart: Restart, reason: &ExitReason) -> ExitVerdict {
    match (restart, reason) {
        (Restart::Temporary, _) => ExitVerdict::Leave { failed: !reason.is_clean() },
        (Restart::Permanent | Restart::Transient, ExitReason::Fatal(_)) => ExitVerdict::GiveUp,
        (Restart::Transient, _) if reason.is_clean() => ExitVerdict::Leave { failed: false },
        (Restart::Permanent | Restart::Transient, _) => ExitVerdict::Restart,
    }
}

/// What becomes of the spec of a child that is stopped and will not be started by itself.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpecVerdict {
    /// It stays, and can be started again by a call.
    Keep,
    /// It goes with the child.
    Remove,
}

/// A temporary child's spec goes with it; a dynamic supervisor keeps no spec without a child.
pub(crate) fn on_stopped(kind: Kind, restart: Restart) -> SpecVerdict {
    match (kind, restart) {
        (Kind::Dynamic { .. }, _) | (Kind::Static(_), Restart::Temporary) => SpecVerdict::Remove,
        (Kind::Static(_), Restart::Permanent | Restart::Transient) => SpecVerdict::Keep,
    }
}

/// How the end of a child that was told to stop is taken (`supervisor.erl, shutdown/1`).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopVerdict {
    /// As it should be.
    InOrder,
    /// Reported; the stopping goes on all the same.
    ShutdownError,
}

/// | | shutdown | shutdown:x | normal | killed | other |
/// |---|---|---|---|---|---|
/// | asked, static permanent | fine | report | report | report | report |
/// | asked, dynamic permanent | fine | fine | report | report | report |
/// | asked, other | fine | fine | fine | report | report |
/// | brutal kill, permanent | report | report | report | fine | report |
/// | brutal kill, other | fine | fine | fine | fine | report |
pub(crate) fn on_stop(kind: Kind, shutdown: Shutdown, restart: Restart, reason: &ExitReason) -> StopVerdict {
    let permanent = restart == Restart::Permanent;
    let fine = match (shutdown, reason) {
        (Shutdown::BrutalKill, ExitReason::Killed) => true,
        (Shutdown::BrutalKill, _) => !permanent && reason.is_clean(),
        (_, ExitReason::Shutdown(None)) => true,
        // Elixir's DynamicSupervisor is more lenient here than `supervisor.erl`.
        (_, ExitReason::Shutdown(Some(_))) => !permanent || matches!(kind, Kind::Dynamic { .. }),
        (_, ExitReason::Normal) => !permanent,
        (_, ExitReason::Killed | ExitReason::Cancelled | ExitReason::Error(_) | ExitReason::Fatal(_)) => {
            false
        }
    };
    if fine { StopVerdict::InOrder } else { StopVerdict::ShutdownError }
}

/// Whether the end of a child ends its supervisor (`supervisor.erl, do_auto_shutdown/2`).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoShutdownVerdict {
    /// The supervisor goes on.
    Stay,
    /// It shuts down.
    ShutDown,
}

/// Asked only for a child that ended by itself and is not restarted. `others` is whether another significant child is
/// up, on its way up, or waiting for its restart.
pub(crate) fn on_left(
    mode: AutoShutdown,
    significant: bool,
    others: impl FnOnce() -> bool,
) -> AutoShutdownVerdict {
    let over = match (mode, significant) {
        (_, false) | (AutoShutdown::Never, true) => false,
        (AutoShutdown::AnySignificant, true) => true,
        (AutoShutdown::AllSignificant, true) => !others(),
    };
    if over { AutoShutdownVerdict::ShutDown } else { AutoShutdownVerdict::Stay }
}

/// Which children a restart concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The failed child alone.
    Alone,
    /// The failed child and all after it.
    Rest,
    /// All.
    All,
}

pub(crate) fn group(kind: Kind) -> Group {
    match kind {
        Kind::Dynamic { .. } | Kind::Static(Strategy::OneForOne) => Group::Alone,
        Kind::Static(Strategy::RestForOne) => Group::Rest,
        Kind::Static(Strategy::OneForAll) => Group::All,
    }
}

/// A child's state as the calls of OTP tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Up, or about to be: OTP's pid.
    Running,
    /// Failed, and to be tried again: OTP's `restarting`.
    Restarting,
    /// Stopped: OTP's `undefined`.
    Stopped,
}

pub(crate) fn presence(phase: &Phase) -> Presence {
    match phase {
        Phase::Up { .. } | Phase::Dead { .. } | Phase::Queued | Phase::Starting | Phase::Stopping { .. } => {
            Presence::Running
        }
        Phase::Delayed { .. } => Presence::Restarting,
        Phase::Down => Presence::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::exit::StoppedWith;

    fn reasons() -> [ExitReason; 7] {
        let error = || Arc::new(StoppedWith("x".into()));
        [
            ExitReason::Normal,
            ExitReason::Shutdown(None),
            ExitReason::Shutdown(Some("x".into())),
            ExitReason::Killed,
            ExitReason::Cancelled,
            ExitReason::Error(error()),
            ExitReason::Fatal(error()),
        ]
    }

    #[test]
    fn an_exit_is_judged_by_restart_type_and_reason() {
        const LEAVE: ExitVerdict = ExitVerdict::Leave { failed: false };
        const FAILED: ExitVerdict = ExitVerdict::Leave { failed: true };
        use ExitVerdict::{GiveUp, Restart as Again};
        for (restart, expected) in [
            (Restart::Permanent, [Again, Again, Again, Again, Again, Again, GiveUp]),
            (Restart::Transient, [LEAVE, LEAVE, LEAVE, Again, Again, Again, GiveUp]),
            (Restart::Temporary, [LEAVE, LEAVE, LEAVE, FAILED, FAILED, FAILED, FAILED]),
        ] {
            assert_eq!(reasons().map(|reason| on_exit(restart, &reason)), expected, "{restart:?}");
        }
    }

    #[test]
    fn a_requested_end_is_judged_by_how_it_was_requested() {
        let fixed = Kind::Static(Strategy::OneForOne);
        let dynamic = Kind::Dynamic { max_children: None };
        let asked = Shutdown::Timeout(Duration::from_secs(5));
        for (kind, shutdown, restart, fine) in [
            (fixed, asked, Restart::Permanent, [false, true, false, false, false, false, false]),
            (dynamic, asked, Restart::Permanent, [false, true, true, false, false, false, false]),
            (fixed, Shutdown::Infinity, Restart::Transient, [true, true, true, false, false, false, false]),
            (fixed, asked, Restart::Temporary, [true, true, true, false, false, false, false]),
            (
                fixed,
                Shutdown::BrutalKill,
                Restart::Permanent,
                [false, false, false, true, false, false, false],
            ),
            (
                dynamic,
                Shutdown::BrutalKill,
                Restart::Transient,
                [true, true, true, true, false, false, false],
            ),
        ] {
            let judged =
                reasons().map(|reason| on_stop(kind, shutdown, restart, &reason) == StopVerdict::InOrder);
            assert_eq!(judged, fine, "{kind:?} {shutdown:?} {restart:?}");
        }
    }

    #[test]
    fn only_a_significant_child_ends_its_supervisor() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        for (mode, significant, others, ends) in [
            (Never, true, false, false),
            (AnySignificant, false, false, false),
            (AnySignificant, true, true, true),
            (AllSignificant, true, true, false),
            (AllSignificant, true, false, true),
            (AllSignificant, false, false, false),
        ] {
            let verdict = on_left(mode, significant, || others);
            assert_eq!(verdict == AutoShutdownVerdict::ShutDown, ends, "{mode:?} {significant} {others}");
        }
    }

    #[test]
    fn a_spec_outlives_its_child_only_in_a_static_supervisor() {
        let fixed = Kind::Static(Strategy::OneForAll);
        let dynamic = Kind::Dynamic { max_children: Some(1) };
        for (kind, restart, verdict) in [
            (fixed, Restart::Permanent, SpecVerdict::Keep),
            (fixed, Restart::Transient, SpecVerdict::Keep),
            (fixed, Restart::Temporary, SpecVerdict::Remove),
            (dynamic, Restart::Permanent, SpecVerdict::Remove),
            (dynamic, Restart::Transient, SpecVerdict::Remove),
            (dynamic, Restart::Temporary, SpecVerdict::Remove),
        ] {
            assert_eq!(on_stopped(kind, restart), verdict, "{kind:?} {restart:?}");
        }
    }
}
