//! Scenes that make a pit tell every event that it has to tell of itself.

use std::time::Duration;

use snakepit_supervisor::{ExitReason, GaveUp, GaveUpReason, Report};

use crate::adapter::scripted::{Boot, Scripted};
use crate::config::PoolConfig;
use crate::process::Containment;
use crate::snakepit::shutdown::ShutdownReport;
use crate::snakepit::{Snakepit, reports, shutdown};
use crate::telemetry::{self, EventSink};

/// Plays all of them.
pub(crate) async fn play(events: &EventSink) {
    telemetry::contained(&Containment::tree(), events);
    telemetry::contained(&Containment::in_process("a scene"), events);
    let failed = GaveUp {
        supervisor: "snakepit".into(),
        child: "process registry".into(),
        reason: GaveUpReason::Fatal,
        last: ExitReason::Killed,
        restarts: 3,
        history: Vec::new(),
    };
    reports::tell_of_pit(&Report::GaveUp(failed), events);
    let (supervisor, child, incarnation) = ("starters".into(), "scene/0".into(), 1);
    reports::tell_of_pit(&Report::Unstoppable { supervisor, child, incarnation }, events);
    let left = ShutdownReport { took_ms: 0, pools: Vec::new(), processes_left: vec![1] };
    shutdown::tell_left(&left, events);
    let directory = tempfile::tempdir().unwrap();
    let (adapter, _lives) = Scripted::new(1, Boot::Ready);
    let mut pit = Snakepit::builder();
    pit.events = events.clone();
    let pit = pit.data_dir(directory.path()).pool(PoolConfig::new("scene", adapter)).start().await.unwrap();
    pit.await_ready("scene", Duration::from_mins(1)).await.unwrap();
    pit.shutdown(Duration::from_secs(20)).await;
}
