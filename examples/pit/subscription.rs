//! Events, told as they come until they are cancelled or the pit has ended.

use serde_json::{Value, json};
use snakepit_core::{Events, ExecuteError, Lagged};
use tokio::sync::oneshot;

use crate::pit::answer::{self, Answers};
use crate::pit::request::LineId;
use crate::pit::under_way::Taken;

/// Somebody who wants to hear.
pub(crate) struct Subscription {
    pub(crate) events: Events,
    pub(crate) answers: Answers,
    pub(crate) id: LineId,
    pub(crate) taken: Taken,
    pub(crate) cancelled: oneshot::Receiver<()>,
}

impl Subscription {
    /// Tells what happens. Whoever reads too slowly misses events, and is told how many.
    pub(crate) async fn run(self) {
        let Self { events, answers, id, taken, cancelled } = self;
        let last = tokio::select! {
            () = tell(events, &answers, &id) => json!({"id": id, "end": true}),
            Ok(()) = cancelled => answer::error_line(&id, &answer::execute_error(&ExecuteError::Cancelled)),
        };
        drop(taken);
        answers.say(last).await;
    }
}

async fn tell(mut events: Events, answers: &Answers, id: &LineId) {
    while let Some(event) = events.next().await {
        let line: Value = match event {
            Ok(record) => json!({"id": id, "event": *record}),
            Err(Lagged(missed)) => json!({"id": id, "missed": missed}),
        };
        answers.say(line).await;
    }
}
