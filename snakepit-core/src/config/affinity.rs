//! What a session means for where its requests run.

use serde::{Deserialize, Serialize};

/// What a session means for where its requests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// Sessions are handed to the workers and otherwise ignored.
    Off,
    /// A request goes to its session's worker if that is free, to any other if not. Where the worker is lost, another
    /// takes the session on, and the answer says `session_reset`.
    Hint,
    /// A request goes to its session's worker and to no other, and waits for it without holding up anybody else. Where the
    /// worker is lost, the session ends in `SessionLost`, once; then it starts afresh.
    StrictQueue,
    /// As `strict_queue`, but where the worker is busy the answer is `WorkerBusy`, at once.
    StrictFailFast,
}

impl Affinity {
    /// Whether a request must not run anywhere but on its session's worker.
    pub(crate) fn is_strict(self) -> bool {
        match self {
            Self::Off | Self::Hint => false,
            Self::StrictQueue | Self::StrictFailFast => true,
        }
    }

    /// The word that configuration files have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hint => "hint",
            Self::StrictQueue => "strict_queue",
            Self::StrictFailFast => "strict_fail_fast",
        }
    }
}
