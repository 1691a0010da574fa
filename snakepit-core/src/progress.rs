//! How far a request is, as its worker tells: the latest word of it, and never more than that.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How far a request is. It says so itself; nothing is worked out from time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done, in whatever the command counts.
    pub done: f64,
    /// How much there is to do, where that is known.
    #[serde(default)]
    pub total: Option<f64>,
    /// What it is doing.
    #[serde(default)]
    pub message: String,
}

impl Progress {
    /// Makes both ends for one request: the sender goes with [`Request::progress`](crate::Request::progress).
    ///
    /// ```no_run
    /// # async fn example(pool: &snakepit_core::PoolRef) -> Result<(), snakepit_core::ExecuteError> {
    /// use snakepit_core::Progress;
    ///
    /// let (sender, mut progress) = Progress::channel();
    /// let training = tokio::spawn(pool.request("train").progress(sender).send());
    /// while let Some(Progress { done, message, .. }) = progress.next().await {
    ///     println!("{done}: {message}");
    /// }
    /// # let _ = training;
    /// # Ok(())
    /// # }
    /// ```
    pub fn channel() -> (ProgressSender, ProgressReceiver) {
        let (sender, receiver) = watch::channel(None);
        (ProgressSender(sender), ProgressReceiver(receiver))
    }
}

/// Where the adapter of a request's worker puts its progress. Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct ProgressSender(watch::Sender<Option<Progress>>);

impl ProgressSender {
    /// Takes the place of what was told before. Whether somebody reads it is no concern of the worker's.
    pub fn send(&self, progress: Progress) {
        self.0.send_replace(Some(progress));
    }
}

/// The latest progress of one request, for whoever asked for it.
///
/// One word of it is kept: a reader that is slow, or does not read at all, misses what was overtaken and costs nothing.
/// A request that is tried again on another worker tells its progress from the start.
#[derive(Debug)]
pub struct ProgressReceiver(watch::Receiver<Option<Progress>>);

impl ProgressReceiver {
    /// The latest progress that has not been seen, once there is some; `None` when the request is over.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Progress> {
        // The end comes behind the last word: a channel whose senders are gone still gives what has not been seen.
        self.0.changed().await.ok()?;
        self.0.borrow_and_update().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: f64) -> Progress {
        Progress { done, total: Some(3.0), message: String::new() }
    }

    #[tokio::test]
    async fn the_latest_word_is_kept_and_the_end_comes_behind_it() {
        let (sender, mut progress) = Progress::channel();
        sender.send(at(1.0));
        assert_eq!(progress.next().await, Some(at(1.0)));
        sender.send(at(2.0));
        sender.clone().send(at(3.0));
        drop(sender);
        assert_eq!(progress.next().await, Some(at(3.0)));
        assert_eq!(progress.next().await, None);
    }

    #[tokio::test]
    async fn a_request_without_progress_just_ends() {
        let (sender, mut progress) = Progress::channel();
        drop(sender);
        assert_eq!(progress.next().await, None);
    }

    #[test]
    fn nobody_need_read() {
        let (sender, progress) = Progress::channel();
        drop(progress);
        sender.send(at(1.0));
    }
}
