//! The phases of a worker's life, and what each event means in each of them.
//!
//! A dying worker has two sources of last words: the adapter, whose wire may still hold answers, and the process, whose
//! exit says why. Each may be heard first; the life ends when both have been, or when it takes too long.

use std::time::Duration;

use crate::adapter::AdapterFailure;
use crate::error::LossCause;
use crate::process::ProcessExit;

/// How long a process may take to leave by itself after it has closed the wire. Its exit code says more than the wire.
const EXIT_GRACE: Duration = Duration::from_millis(500);
/// How long the wire of a process that has ended may take to reach its end. A child may hold it open.
const WIRE_GRACE: Duration = Duration::from_millis(200);

/// Where a worker is in its life.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// Reserving, spawning, shaking hands.
    Booting,
    /// Taking requests.
    Ready,
    /// It is going to end unasked, and last words are awaited.
    Dying { cause: LossCause, awaiting: Awaiting },
}

/// Whose last words are awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaiting {
    Process,
    /// The same, after a torn frame: how it ends says whether the tear was its own doing.
    ProcessOfTornWire,
    Adapter,
}

/// What has happened to a worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PhaseEvent {
    BootFailed { cause: LossCause },
    AdapterEnded { failure: AdapterFailure },
    ProcessEnded { cause: LossCause },
    Condemned { cause: LossCause },
    FarewellElapsed,
}

/// What is known of the two sources when an event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) process: bool,
    pub(super) adapter: bool,
}

/// What to do about it.
#[must_use = "a worker whose death nobody acts on keeps its slot for ever"]
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PhaseVerdict {
    /// Nothing.
    Stay,
    /// Wait for last words, for so long.
    AwaitFarewell { within: Duration },
    /// Kill the process group, and wait for its exit.
    Kill { within: Duration },
    /// The life is over.
    End { cause: LossCause },
}

impl Phase {
    /// Judges an event, and moves on.
    pub(super) fn on(&mut self, event: PhaseEvent, alive: Alive) -> PhaseVerdict {
        let (next, verdict) = self.judge(event, alive);
        if let Some(next) = next {
            *self = next;
        }
        verdict
    }

    /// Whether the worker is going to end unasked.
    pub(super) fn is_dying(&self) -> bool {
        matches!(self, Self::Dying { .. })
    }

    fn judge(&self, event: PhaseEvent, alive: Alive) -> (Option<Self>, PhaseVerdict) {
        let dying = |cause, awaiting, verdict| (Some(Self::Dying { cause, awaiting }), verdict);
        let end = |cause| (None, PhaseVerdict::End { cause });
        match (self, event) {
            (Self::Booting | Self::Ready, PhaseEvent::AdapterEnded { failure }) => {
                let (awaiting, verdict) = match failure {
                    AdapterFailure::Disconnected => {
                        (Awaiting::Process, PhaseVerdict::AwaitFarewell { within: EXIT_GRACE })
                    }
                    AdapterFailure::Torn { .. } => {
                        (Awaiting::ProcessOfTornWire, PhaseVerdict::AwaitFarewell { within: EXIT_GRACE })
                    }
                    AdapterFailure::Protocol { .. } | AdapterFailure::Failed { .. } => {
                        (Awaiting::Process, PhaseVerdict::Kill { within: EXIT_GRACE })
                    }
                };
                let cause = LossCause::from(failure);
                if alive.process { dying(cause, awaiting, verdict) } else { end(cause) }
            }
            (Self::Booting | Self::Ready, PhaseEvent::ProcessEnded { cause }) => {
                if alive.adapter {
                    dying(cause, Awaiting::Adapter, PhaseVerdict::AwaitFarewell { within: WIRE_GRACE })
                } else {
                    end(cause)
                }
            }
            (
                Self::Booting | Self::Ready,
                PhaseEvent::BootFailed { cause } | PhaseEvent::Condemned { cause },
            ) => {
                if alive.process {
                    dying(cause, Awaiting::Process, PhaseVerdict::Kill { within: EXIT_GRACE })
                } else {
                    end(cause)
                }
            }
            // The wire closed first; how the process ended says more.
            (
                Self::Dying { cause: LossCause::Disconnected, awaiting: Awaiting::Process },
                PhaseEvent::ProcessEnded { cause },
            ) => end(cause),
            // Whoever was killed, or failed, while it wrote has not broken a rule.
            (
                Self::Dying { awaiting: Awaiting::ProcessOfTornWire, .. },
                PhaseEvent::ProcessEnded { cause },
            ) if !left_as_asked(&cause) => end(cause),
            // Killed for a reason of its own: the signal says nothing new.
            (
                Self::Dying { cause, awaiting: Awaiting::Process | Awaiting::ProcessOfTornWire },
                PhaseEvent::ProcessEnded { .. },
            ) => end(cause.clone()),
            // The last answers have been read. A worker that broke the protocol with its last breath is told so.
            (Self::Dying { cause, awaiting: Awaiting::Adapter }, PhaseEvent::AdapterEnded { failure })
                if is_breach(&failure, cause) =>
            {
                end(failure.into())
            }
            (Self::Dying { cause, awaiting: Awaiting::Adapter }, PhaseEvent::AdapterEnded { .. }) => {
                end(cause.clone())
            }
            // It closed the wire, or left it torn, and stayed.
            (
                Self::Dying { cause: cause @ LossCause::Disconnected, awaiting: Awaiting::Process }
                | Self::Dying { cause, awaiting: Awaiting::ProcessOfTornWire },
                PhaseEvent::FarewellElapsed,
            ) if alive.process => {
                dying(cause.clone(), Awaiting::Process, PhaseVerdict::Kill { within: EXIT_GRACE })
            }
            (Self::Dying { cause, .. }, PhaseEvent::FarewellElapsed) => end(cause.clone()),
            (Self::Dying { .. }, _) | (Self::Booting | Self::Ready, PhaseEvent::FarewellElapsed) => {
                (None, PhaseVerdict::Stay)
            }
        }
    }
}

/// Whether a process ended as if all were well.
fn left_as_asked(cause: &LossCause) -> bool {
    matches!(cause, LossCause::ProcessExited { exit: ProcessExit::Code(0) })
}

/// Whether the end of the wire of a process that ended like this shows a broken rule.
fn is_breach(failure: &AdapterFailure, process: &LossCause) -> bool {
    match failure {
        AdapterFailure::Protocol { .. } => true,
        AdapterFailure::Torn { .. } => left_as_asked(process),
        AdapterFailure::Disconnected | AdapterFailure::Failed { .. } => false,
    }
}

impl From<AdapterFailure> for LossCause {
    fn from(failure: AdapterFailure) -> Self {
        match failure {
            AdapterFailure::Protocol { what } | AdapterFailure::Torn { what } => Self::Protocol { what },
            AdapterFailure::Disconnected => Self::Disconnected,
            AdapterFailure::Failed { what } => Self::AdapterFailed { what },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Alive = Alive { process: true, adapter: true };
    const NO_ADAPTER: Alive = Alive { process: true, adapter: false };
    const NO_PROCESS: Alive = Alive { process: false, adapter: true };
    const NONE: Alive = Alive { process: false, adapter: false };
    const EXIT: ProcessExit = ProcessExit::Code(3);

    fn exited() -> LossCause {
        LossCause::ProcessExited { exit: EXIT }
    }

    fn killed() -> LossCause {
        LossCause::ProcessExited { exit: ProcessExit::Signal(9) }
    }

    fn stuck() -> LossCause {
        LossCause::Stuck { grace: Duration::from_secs(5) }
    }

    fn protocol() -> AdapterFailure {
        AdapterFailure::Protocol { what: "x".to_owned() }
    }

    fn ends(phase: &mut Phase, event: PhaseEvent, alive: Alive) -> LossCause {
        match phase.on(event, alive) {
            PhaseVerdict::End { cause } => cause,
            other => panic!("expected the end, got {other:?}"),
        }
    }

    #[test]
    fn a_process_that_ends_is_heard_out_on_the_wire() {
        let mut phase = Phase::Ready;
        let verdict = phase.on(PhaseEvent::ProcessEnded { cause: exited() }, NO_PROCESS);
        assert_eq!(verdict, PhaseVerdict::AwaitFarewell { within: WIRE_GRACE });
        let event = PhaseEvent::AdapterEnded { failure: AdapterFailure::Disconnected };
        assert_eq!(ends(&mut phase, event, NONE), exited());
    }

    #[test]
    fn a_wire_that_stays_open_does_not_keep_a_dead_worker() {
        let mut phase = Phase::Ready;
        let _ = phase.on(PhaseEvent::ProcessEnded { cause: exited() }, NO_PROCESS);
        assert_eq!(ends(&mut phase, PhaseEvent::FarewellElapsed, NO_PROCESS), exited());
    }

    #[test]
    fn a_closed_wire_waits_for_the_exit_code() {
        let mut phase = Phase::Ready;
        let event = PhaseEvent::AdapterEnded { failure: AdapterFailure::Disconnected };
        assert_eq!(phase.on(event, NO_ADAPTER), PhaseVerdict::AwaitFarewell { within: EXIT_GRACE });
        assert_eq!(ends(&mut phase, PhaseEvent::ProcessEnded { cause: exited() }, NONE), exited());
    }

    #[test]
    fn a_worker_that_closes_the_wire_and_stays_is_killed() {
        let mut phase = Phase::Ready;
        let _ = phase.on(PhaseEvent::AdapterEnded { failure: AdapterFailure::Disconnected }, NO_ADAPTER);
        assert_eq!(
            phase.on(PhaseEvent::FarewellElapsed, NO_ADAPTER),
            PhaseVerdict::Kill { within: EXIT_GRACE }
        );
        let event = PhaseEvent::ProcessEnded { cause: killed() };
        // Whether it was killed or left just then cannot be told apart.
        assert_eq!(ends(&mut phase, event, NONE), killed());
    }

    #[test]
    fn rubbish_on_the_wire_is_the_cause_whatever_the_exit_says() {
        let mut phase = Phase::Ready;
        let event = PhaseEvent::AdapterEnded { failure: protocol() };
        assert_eq!(phase.on(event, NO_ADAPTER), PhaseVerdict::Kill { within: EXIT_GRACE });
        let cause = ends(&mut phase, PhaseEvent::ProcessEnded { cause: killed() }, NONE);
        assert_eq!(cause, protocol().into());
    }

    fn torn() -> AdapterFailure {
        AdapterFailure::Torn { what: "x".to_owned() }
    }

    #[test]
    fn who_is_killed_while_it_writes_is_lost_whichever_end_is_heard_first() {
        let mut phase = Phase::Ready;
        let verdict = phase.on(PhaseEvent::AdapterEnded { failure: torn() }, NO_ADAPTER);
        assert_eq!(verdict, PhaseVerdict::AwaitFarewell { within: EXIT_GRACE });
        assert_eq!(ends(&mut phase, PhaseEvent::ProcessEnded { cause: killed() }, NONE), killed());

        let mut phase = Phase::Ready;
        let _ = phase.on(PhaseEvent::ProcessEnded { cause: killed() }, NO_PROCESS);
        assert_eq!(ends(&mut phase, PhaseEvent::AdapterEnded { failure: torn() }, NONE), killed());
    }

    #[test]
    fn who_leaves_in_the_middle_of_a_frame_as_if_all_were_well_has_broken_the_protocol() {
        let left = || LossCause::ProcessExited { exit: ProcessExit::Code(0) };
        for (exit, expected) in [(left(), torn().into()), (exited(), exited())] {
            for mut phase in [Phase::Booting, Phase::Ready] {
                let _ = phase.on(PhaseEvent::AdapterEnded { failure: torn() }, NO_ADAPTER);
                let event = PhaseEvent::ProcessEnded { cause: exit.clone() };
                assert_eq!(ends(&mut phase, event, NONE), expected);
            }
            let mut phase = Phase::Ready;
            let _ = phase.on(PhaseEvent::ProcessEnded { cause: exit }, NO_PROCESS);
            assert_eq!(ends(&mut phase, PhaseEvent::AdapterEnded { failure: torn() }, NONE), expected);
        }
    }

    #[test]
    fn who_tears_the_wire_and_stays_is_killed_for_it() {
        let mut phase = Phase::Ready;
        let _ = phase.on(PhaseEvent::AdapterEnded { failure: torn() }, NO_ADAPTER);
        let verdict = phase.on(PhaseEvent::FarewellElapsed, NO_ADAPTER);
        assert_eq!(verdict, PhaseVerdict::Kill { within: EXIT_GRACE });
        assert_eq!(ends(&mut phase, PhaseEvent::ProcessEnded { cause: killed() }, NONE), torn().into());
    }

    #[test]
    fn a_condemned_worker_is_killed_and_the_reason_kept() {
        for mut phase in [Phase::Booting, Phase::Ready] {
            let verdict = phase.on(PhaseEvent::Condemned { cause: stuck() }, BOTH);
            assert_eq!(verdict, PhaseVerdict::Kill { within: EXIT_GRACE });
            let event = PhaseEvent::AdapterEnded { failure: AdapterFailure::Disconnected };
            assert_eq!(phase.on(event, NO_ADAPTER), PhaseVerdict::Stay);
            assert_eq!(ends(&mut phase, PhaseEvent::ProcessEnded { cause: exited() }, NONE), stuck());
        }
    }

    #[test]
    fn a_boot_that_fails_before_there_is_a_process_ends_at_once() {
        let event = PhaseEvent::BootFailed { cause: stuck() };
        assert_eq!(ends(&mut Phase::Booting, event, NONE), stuck());
    }

    #[test]
    fn a_handshake_that_ends_with_the_process_tells_the_exit_code() {
        let mut phase = Phase::Booting;
        let event = PhaseEvent::AdapterEnded { failure: AdapterFailure::Disconnected };
        let verdict = phase.on(event, BOTH);
        assert_eq!(verdict, PhaseVerdict::AwaitFarewell { within: EXIT_GRACE });
        assert_eq!(ends(&mut phase, PhaseEvent::ProcessEnded { cause: exited() }, NO_PROCESS), exited());
    }

    #[test]
    fn a_worker_without_a_process_ends_with_its_adapter() {
        let event = PhaseEvent::AdapterEnded { failure: AdapterFailure::Failed { what: "x".to_owned() } };
        let cause = ends(&mut Phase::Ready, event, NONE);
        assert_eq!(cause, LossCause::AdapterFailed { what: "x".to_owned() });
    }

    #[test]
    fn a_process_that_does_not_go_even_when_killed_does_not_hold_the_slot() {
        let mut phase = Phase::Ready;
        let _ = phase.on(PhaseEvent::Condemned { cause: stuck() }, BOTH);
        assert_eq!(ends(&mut phase, PhaseEvent::FarewellElapsed, NO_ADAPTER), stuck());
    }
}
