//! Every event and every metric that there is, is told: the rooms play their scenes, and what was heard is held against the declarations.

use std::collections::BTreeSet;

use tokio::runtime::Builder;

use crate::pool::tests::scenes::{self as pool_scenes, SECRET};
use crate::process_registry::scenes as registry_scenes;
use crate::snakepit::scenes as pit_scenes;
use crate::telemetry::event::Event;
use crate::telemetry::recorder::Told;
use crate::telemetry::{EventSink, metric};

#[test]
fn s41_every_event_and_metric_is_told_and_none_holds_what_a_request_was_called_with() {
    let events = EventSink::default();
    let mut told = events.subscribe(None);
    let (paused, real) = (Builder::new_current_thread().enable_all().start_paused(true).build().unwrap(), {
        Builder::new_current_thread().enable_all().build().unwrap()
    });
    let recorder = Told::default();
    let recording = metrics::set_default_local_recorder(&recorder);
    paused.block_on(pool_scenes::play(&events));
    real.block_on(registry_scenes::play(&events));
    // Last, because nothing is heard after the end of a shutdown.
    real.block_on(pit_scenes::play(&events));
    drop(events);
    drop(recording);
    let declared: BTreeSet<_> = metric::ALL.iter().map(|spec| spec.name.to_owned()).collect();
    assert_eq!(recorder.names(), declared, "metrics that are told, and those that are declared");
    let mut names = BTreeSet::new();
    while let Some(record) = real.block_on(told.next()) {
        let record = record.expect("no scene tells more than a subscriber may be behind");
        let json = serde_json::to_value(&*record).unwrap();
        assert_eq!(json["event"], record.event.name());
        assert!(!json.to_string().contains(SECRET), "{json}");
        names.insert(record.event.name());
    }
    let declared: BTreeSet<_> = Event::ALL.iter().map(|spec| spec.name).collect();
    assert_eq!(declared.len(), Event::ALL.len(), "two events have one name");
    let untold: Vec<_> = declared.difference(&names).collect();
    assert!(untold.is_empty(), "no scene tells {untold:?}");
}
