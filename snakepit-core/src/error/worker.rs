//! Failures as workers tell them.

use serde::{Deserialize, Serialize};

/// Declares the kinds, and the list of them, so that none can be forgotten in it.
macro_rules! kinds {
    ($($(#[$says:meta])* $kind:ident,)*) => {
        /// What kind of failure a worker reports, in the words of the worker contract.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum WorkerErrorKind {
            $($(#[$says])* $kind,)*
            /// A kind that this version does not know.
            #[serde(untagged)]
            Other(String),
        }

        impl WorkerErrorKind {
            /// Every kind that the contract has a word for.
            pub const KNOWN: &[Self] = &[$(Self::$kind),*];
        }
    };
}

kinds! {
    /// The command's own code failed.
    Error,
    /// The worker does not know the command.
    UnknownCommand,
    /// The arguments do not fit the command.
    InvalidArgument,
    /// The command stopped because it was told to.
    Cancelled,
    /// The command does not answer with a stream, or only with one.
    StreamingNotSupported,
    /// The answer is over the limit.
    PayloadTooLarge,
    /// No time was left when the request's turn came: none of the command ran.
    DeadlineExceeded,
    /// The worker takes no more work: none of the request ran. The pool sends it elsewhere.
    Draining,
}

/// A failure as the worker tells it. It never costs the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{type_name}: {message}")]
pub struct WorkerError {
    /// What kind of failure.
    pub kind: WorkerErrorKind,
    /// The error's type in the worker's language, such as `ValueError`.
    #[serde(rename = "type", default)]
    pub type_name: String,
    /// The error's text.
    #[serde(default)]
    pub message: String,
    /// Where it happened, in the worker's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Whether the worker thinks that trying again may help.
    #[serde(default)]
    pub retryable: bool,
    /// Data for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[source]
    pub cause: Option<Box<WorkerError>>,
}
