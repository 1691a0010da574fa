//! Why an actor ended: the one reader of ractor's supervision events.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use ractor::{ActorCell, SupervisionEvent};

/// The stop reason that a supervisor gives, and that counts as an orderly end (`supervisor.erl`, `shutdown/1`).
pub(crate) const SHUTDOWN: &str = "shutdown";

/// Why an actor ended.
///
/// ractor tells it as a string, or as an error; this is the same, typed. A kill arrives as the string `killed`,
/// so an actor that stops itself with that reason counts as killed.
#[derive(Clone)]
pub enum ExitReason {
    /// It stopped without a reason, or was drained.
    Normal,
    /// It stopped with reason `shutdown`, or `shutdown:` and a word of its own.
    Shutdown(Option<String>),
    /// It was killed.
    Killed,
    /// Its task was aborted, or its end was never told.
    Cancelled,
    /// It panicked, returned an error, or stopped with another reason.
    Error(Arc<dyn Error + Send + Sync>),
    /// It returned [`DoNotRestart`]: trying again cannot help.
    Fatal(Arc<dyn Error + Send + Sync>),
}

impl ExitReason {
    /// Reads an event: who ended, and why. `None` for events that are no exits.
    ///
    /// The dead actor's state travels inside the event; it is dropped here, at once, so that whatever it holds
    /// is free before a successor starts.
    pub fn read(event: SupervisionEvent) -> Option<(ActorCell, Self)> {
        match event {
            SupervisionEvent::ActorTerminated(who, state, reason) => {
                drop(state);
                Some((who, Self::from_stop(reason.as_deref())))
            }
            SupervisionEvent::ActorFailed(who, error) => Some((who, Self::from_error(error))),
            // Feature `cluster` adds further events; none of them is an exit.
            _ => None,
        }
    }

    fn from_stop(reason: Option<&str>) -> Self {
        match reason {
            None | Some("Drained") => Self::Normal,
            Some("killed") => Self::Killed,
            Some("actor_task_cancelled") => Self::Cancelled,
            Some(SHUTDOWN) => Self::Shutdown(None),
            Some(other) => match other.strip_prefix("shutdown:") {
                Some(word) => Self::Shutdown(Some(word.trim_start().to_owned())),
                None => Self::Error(Arc::new(StoppedWith(other.to_owned()))),
            },
        }
    }

    fn from_error(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<DoNotRestart>() {
            Ok(fatal) => Self::Fatal(fatal.0),
            Err(error) => Self::Error(error.into()),
        }
    }

    /// Whether the actor ended in order: a transient child is then not restarted.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown(_) => true,
            Self::Killed | Self::Cancelled | Self::Error(_) | Self::Fatal(_) => false,
        }
    }

    /// The error as what it was, if it was that.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Error(error) | Self::Fatal(error) => error.downcast_ref::<E>(),
            Self::Normal | Self::Shutdown(_) | Self::Killed | Self::Cancelled => None,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown(None) => f.write_str("shutdown"),
            Self::Shutdown(Some(word)) => write!(f, "shutdown:{word}"),
            Self::Killed => f.write_str("killed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Error(error) => write!(f, "{error}"),
            Self::Fatal(error) => write!(f, "fatal: {error}"),
        }
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitReason({self})")
    }
}

/// An actor stopped with a reason that is neither `shutdown` nor a word that ractor uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped with reason {0:?}")]
pub struct StoppedWith(pub String);

/// Wraps an error that no restart can mend: a missing program, a wrong configuration.
///
/// An actor that returns `Err(Box::new(DoNotRestart::new(error)))` is not tried again; its supervisor gives up
/// at once, and says so with [`GaveUpReason::Fatal`](crate::GaveUpReason::Fatal).
#[derive(Clone)]
pub struct DoNotRestart(Arc<dyn Error + Send + Sync>);

impl DoNotRestart {
    /// Wraps an error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into().into())
    }

    /// The error inside.
    pub fn inner(&self) -> &Arc<dyn Error + Send + Sync> {
        &self.0
    }
}

impl fmt::Display for DoNotRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DoNotRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DoNotRestart({:?})", self.0)
    }
}

impl Error for DoNotRestart {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reason_is_read_as_the_class_that_decides() {
        for (reason, text, clean) in [
            (None, "normal", true),
            (Some("Drained"), "normal", true),
            (Some("shutdown"), "shutdown", true),
            (Some("shutdown:recycled"), "shutdown:recycled", true),
            (Some("killed"), "killed", false),
            (Some("actor_task_cancelled"), "cancelled", false),
            (Some("tired"), "stopped with reason \"tired\"", false),
        ] {
            let exit = ExitReason::from_stop(reason);
            assert_eq!((exit.to_string().as_str(), exit.is_clean()), (text, clean), "{reason:?}");
        }
    }

    #[test]
    fn an_error_keeps_its_type() {
        let exit = ExitReason::from_error(Box::new(StoppedWith("x".into())));
        assert_eq!(exit.downcast_ref::<StoppedWith>(), Some(&StoppedWith("x".into())));
        assert!(!exit.is_clean());
    }

    #[test]
    fn do_not_restart_is_fatal_and_keeps_the_error_inside() {
        let exit = ExitReason::from_error(Box::new(DoNotRestart::new(StoppedWith("x".into()))));
        assert!(matches!(exit, ExitReason::Fatal(_)));
        assert!(exit.downcast_ref::<StoppedWith>().is_some());
    }
}
