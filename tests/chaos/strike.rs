//! The ways to hit a host.

use nix::sys::signal::Signal;
use snakepit_tests::chance::Chance;
use snakepit_tests::keeper::Kept;
use snakepit_tests::oracle::{ProcessHandle, Relative};

/// One way to hit a host, or what stands between it and its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// SIGKILL.
    Kill9,
    /// `abort()`, as a panic does where it is built so.
    Abort,
    /// SIGTERM, which the host leaves to its default action.
    Term,
    /// `exit()` in the middle of everything.
    Exit,
    /// A panic in an actor above the pit, and then in `main`.
    Panic,
    /// A real fault.
    Segv,
    /// SIGKILL for every shim; the host lives.
    Shims,
    /// SIGKILL for the host and every shim at once; the next start has to clean up.
    Both,
    /// SIGSTOP for shims and workers, then SIGKILL for the host.
    Stopped,
}

impl Strike {
    pub(crate) const ALL: [Self; 9] = [
        Self::Kill9,
        Self::Abort,
        Self::Term,
        Self::Exit,
        Self::Panic,
        Self::Segv,
        Self::Shims,
        Self::Both,
        Self::Stopped,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kill9 => "kill9",
            Self::Abort => "abort",
            Self::Term => "term",
            Self::Exit => "exit",
            Self::Panic => "panic",
            Self::Segv => "segv",
            Self::Shims => "shims",
            Self::Both => "both",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the host lives on.
    pub(crate) fn spares_the_host(self) -> bool {
        self == Self::Shims
    }

    /// Whether the next start has to end what is left.
    pub(crate) fn needs_recovery(self) -> bool {
        self == Self::Both
    }

    /// Strikes.
    pub(crate) fn hit(self, kept: &mut Kept, chance: &mut Chance) {
        match self {
            Self::Kill9 => {
                kept.host().signal(Signal::SIGKILL);
            }
            Self::Term => {
                kept.host().signal(Signal::SIGTERM);
            }
            Self::Abort => kept.say("abort"),
            Self::Exit => kept.say("exit"),
            Self::Panic => kept.say("panic"),
            Self::Segv => kept.say("segv"),
            Self::Shims => all(&kept.shims(), Signal::SIGKILL),
            Self::Both => {
                let shims = kept.shims();
                // In either order: both are to be hit before either can do anything about the other.
                if chance.below(2) == 0 {
                    kept.host().signal(Signal::SIGKILL);
                    all(&shims, Signal::SIGKILL);
                } else {
                    all(&shims, Signal::SIGKILL);
                    kept.host().signal(Signal::SIGKILL);
                }
            }
            Self::Stopped => {
                all(&trees(kept), Signal::SIGSTOP);
                kept.host().signal(Signal::SIGKILL);
            }
        }
    }
}

/// The shims that have a worker, and all below them. One that is just being born has not asked yet to be woken when its
/// host dies, and a stop at that moment holds it until somebody wakes it.
fn trees(kept: &Kept) -> Vec<ProcessHandle> {
    let others = kept.others();
    let has_child = |pid: i32| others.iter().any(|other| other.parent == pid);
    let is_shim = |other: &&Relative| other.parent == kept.host().pid();
    let wanted = others.iter().filter(|other| !is_shim(other) || has_child(other.pid));
    wanted.filter_map(|other| ProcessHandle::open(other.pid).ok()).collect()
}

fn all(processes: &[ProcessHandle], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}
