//! What is said of a worker that is lost, or of which nothing comes.

use std::time::Duration;

use snakepit_core::testkit::TestProcess;

use crate::contract::finding::Finding;
use crate::contract::host::Host;

/// The end of a process is seen later than that of its wire, by so much at most.
const BEHIND_THE_WIRE: Duration = Duration::from_secs(1);

impl Host<'_> {
    /// What is lost with the worker, and how that ended.
    pub(super) async fn lost(&self, what: &str) -> Finding {
        let why = self.ended.as_deref().unwrap_or_default();
        let (state, words) = (self.process_state().await, last_words(self.process.as_ref()));
        Finding::broken(format_args!("{what} is lost: {why}{state}{words}"))
    }

    /// What does not come, and whether anybody is there of whom it could.
    pub(super) async fn waited_in_vain(&self, what: &str, otherwise: &str) -> Finding {
        let (state, words) = (self.process_state().await, last_words(self.process.as_ref()));
        Finding::broken(format_args!("{what} {otherwise}{state}{words}"))
    }

    /// Why there is no sign of life: the wire may have ended meanwhile.
    pub(super) async fn why_silent(&mut self) -> Finding {
        while let Ok(told) = self.told.try_recv() {
            if let Err(finding) = self.keep(told) {
                return finding;
            }
        }
        if self.ended.is_some() { self.lost("it").await } else { Finding::broken("a ping is not answered") }
    }

    /// How its process has ended, as a part of a sentence.
    async fn process_state(&self) -> String {
        let Some(process) = &self.process else { return String::new() };
        match process.ended(BEHIND_THE_WIRE).await {
            Some(exit) => format!("; its process {exit}"),
            None => "; its process was not seen to end".to_owned(),
        }
    }
}

/// What a process wrote to stderr last, as the end of a sentence.
pub(in crate::contract) fn last_words(process: Option<&TestProcess>) -> String {
    let last = process.and_then(|process| process.stderr().pop());
    last.map_or(String::new(), |last| format!("; its last words: {last}"))
}
