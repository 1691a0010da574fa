//! What workers tell of themselves, measured from real processes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::{LossCause, ProcessExit, WorkerPhase, WorkerStatus};
use snakepit_tests::oracle;

use crate::system::subject::{HANG, Subject, everywhere};

async fn status(subject: &Subject) -> WorkerStatus {
    subject.pit.workers("default").await.unwrap().remove(0)
}

#[test]
fn a_worker_tells_what_its_processes_use_and_how_the_last_one_ended() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let before = status(&subject).await;
        let mut served = 0;
        // It computes so long by the clock; how much of that is processor time is the machine's to say.
        let first = loop {
            subject.pit.execute_in_session("s", "spin", &json!({"ms": 200})).await.unwrap();
            served += 1;
            let now = status(&subject).await;
            if now.cpu_time_ms >= before.cpu_time_ms.map(|ms| ms + 100) {
                break now;
            }
        };
        assert!(before.cpu_time_ms.is_some() && first.rss_bytes > Some(512 * 1024), "{first:?}");
        assert!(first.uptime_ms >= Some(200 * served), "{first:?}");
        assert_eq!((first.served, first.failed, first.sessions), (Some(served), Some(0), Some(1)));
        assert_eq!((first.phase, first.last_loss), (WorkerPhase::Ready, None));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let since = u128::from(first.since_unix_ms.unwrap());
        assert!(since <= now && now - since <= HANG.as_millis(), "{since} is not near {now}");

        oracle::signal(first.os_pid.unwrap(), Signal::SIGKILL);
        let second = loop {
            let worker = status(&subject).await;
            if worker.incarnation.0 == 2 && worker.phase == WorkerPhase::Ready {
                break worker;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let loss = second.last_loss.unwrap();
        assert_eq!(loss.cause, LossCause::ProcessExited { exit: ProcessExit::Signal(9) });
        assert_eq!((loss.life.incarnation.0, second.restarts), (1, 1));
        assert_eq!((second.served, second.sessions), (Some(0), Some(0)));
        subject.stop().await;
    });
}
