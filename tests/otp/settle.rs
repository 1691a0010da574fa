//! Letting a tree run until nothing more happens, without letting time pass.

use std::pin::Pin;
use std::task::Poll;

use tokio::task::yield_now;

use crate::otp::journal::Journal;

/// How often all other tasks may take their turn without a word in the journal before the tree counts as quiet.
///
/// The longest way from one word to the next (a death, its event, its notice, a decision, a spawn, a `pre_start`) is
/// a dozen turns.
const QUIET_TURNS: usize = 200;

/// Lets every task run until nothing more happens. Virtual time stands still: this never waits for a timer.
pub(crate) async fn settle(journal: &Journal) {
    settle_by(|| journal.volume()).await;
}

/// The same, by any number that grows as long as something goes on.
pub(crate) async fn settle_by(written: impl Fn() -> usize) {
    let (mut quiet, mut volume) = (0, written());
    while quiet < QUIET_TURNS {
        yield_now().await;
        let now = written();
        quiet = if now == volume { quiet + 1 } else { 0 };
        volume = now;
    }
}

/// Lets a future take one step: a call is sent, and its answer not yet waited for.
pub(crate) async fn begin<F: Future>(mut call: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
