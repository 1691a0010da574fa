//! Why a worker is what it is.

use std::time::Duration;

use crate::adapter::AdapterFailure;
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, options};
use crate::pool::{RestartOutlook, StartCause};

#[tokio::test(start_paused = true)]
async fn a_worker_is_explained_from_its_first_life_over_its_restarts_to_its_rest_and_back() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let first = bench.pool.explain(Slot(0)).await.unwrap();
    assert_eq!(
        (first.incarnation.0, first.because, first.next),
        (1, StartCause::Wanted, RestartOutlook::RestartIfLost)
    );
    assert_eq!((first.last_loss, first.restarts_in_window), (None, 0));
    for losses in 1..=3 {
        life.end(AdapterFailure::Disconnected);
        life = bench.life().await;
        bench.settled(|stats| stats.available == 1).await;
        let again = bench.pool.explain(Slot(0)).await.unwrap();
        assert_eq!(
            (again.incarnation.0, again.restarts_in_window, again.consecutive),
            (losses + 1, u32::try_from(losses).unwrap(), u32::try_from(losses).unwrap())
        );
        assert!(
            matches!(again.because, StartCause::Restarted { failures, .. } if u64::from(failures) == losses),
            "{again:?}"
        );
        assert_eq!(again.last_loss.as_ref().map(|loss| loss.life.incarnation.0), Some(losses));
        assert_eq!(
            again.next,
            if losses < 3 { RestartOutlook::RestartIfLost } else { RestartOutlook::GiveUpIfLost }
        );
    }
    life.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.quarantined == 1).await;
    let resting = bench.pool.explain(Slot(0)).await.unwrap();
    assert!(
        matches!(resting.next, RestartOutlook::TryAgain { after } if after > Duration::ZERO),
        "{resting:?}"
    );
    assert_eq!(resting.incarnation.0, 4);
    let _life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let healed = bench.pool.explain(Slot(0)).await.unwrap();
    assert!(
        matches!(&healed.because, StartCause::TriedAgain { rule, times: 1 } if rule.contains("3 restarts")),
        "{healed:?}"
    );
    let text = healed.to_string();
    for words in ["bench/0#5: tried again", "last loss", "it closed the wire", "restarts in 5 s: 0 of 3"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(bench.pool.explain(Slot(1)).await.is_none());
}
