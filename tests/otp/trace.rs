//! Traces: a tree and a script, given as JSON, make an ordered log that can be compared with another implementation's.
//!
//! The tree runs as OTP's would: no backoff, no count of failures in a row, virtual time. After each step of the
//! script it runs until nothing more happens.

mod driver;
mod form;
mod line;
#[cfg(test)]
mod naive;
mod order;
mod plant;

use tokio::runtime::Builder;

use form::TraceCase;

/// A case that makes no sense.
#[derive(Debug)]
pub struct BadCase {
    message: String,
}

impl BadCase {
    /// What makes no sense about it.
    pub fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string() }
    }

    /// The one line that answers such a case.
    pub fn line(&self) -> String {
        serde_json::json!({ "event": "bad_case", "message": self.message }).to_string()
    }
}

/// Drives the tree of a case through its script: the log, one JSON object a line.
///
/// # Errors
/// [`BadCase`] when it is no case; then nothing was started.
pub fn trace(input: &str) -> Result<Vec<String>, BadCase> {
    let case = TraceCase::read(input)?;
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).build().map_err(BadCase::new)?;
    let lines = runtime.block_on(driver::drive(case))?;
    lines.iter().map(|line| serde_json::to_string(line).map_err(BadCase::new)).collect()
}

#[cfg(test)]
mod tests;
