//! The strict session of one caller: its worker keeps what it is told, or its loss is told.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use snakepit_adapters::{Affinity, ExecuteError, Payload, PoolRef, Request, SessionId};

/// How much a session is told before it is ended.
const LENGTH: usize = 20;

pub(crate) struct StrictSession {
    id: SessionId,
    /// What its worker has said that it keeps.
    kept: BTreeSet<String>,
    told: u64,
}

impl StrictSession {
    /// The session of a caller, which has a number of its own.
    pub(crate) fn new(number: u64) -> Self {
        let id = SessionId::new(&format!("caller {number}")).expect("a valid name");
        Self { id, kept: BTreeSet::new(), told: 0 }
    }

    /// Has something more kept. Where it is answered: whether everything is still there.
    pub(crate) async fn remember(&mut self, pool: &PoolRef) -> Result<Result<(), String>, ExecuteError> {
        if self.kept.len() >= LENGTH {
            // Whether its worker is still there is not for the session to say.
            let _ = pool.end_session(&self.id).await;
            self.kept.clear();
        }
        self.told += 1;
        let key = self.told.to_string();
        let args = Payload::json(&json!({"key": key, "value": 0}))?;
        let request = Request::new("remember", args).session(self.id.clone()).affinity(Affinity::StrictQueue);
        match pool.execute(request).await {
            Ok(response) => {
                let present = response.payload.decode::<Map<String, Value>>()?;
                let missing: Vec<_> =
                    self.kept.iter().chain([&key]).filter(|key| !present.contains_key(*key)).collect();
                let verdict = if missing.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{} lost {missing:?} on {}, and nobody was told", self.id, response.worker))
                };
                self.kept = present.into_iter().map(|(key, _)| key).collect();
                Ok(verdict)
            }
            Err(error) => {
                if let ExecuteError::SessionLost { .. } = error {
                    self.kept.clear();
                }
                Err(error)
            }
        }
    }
}
