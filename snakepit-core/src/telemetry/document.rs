//! The document of all events and metrics, made of their declarations. `SNAKEPIT_WRITE_DOCS=1 cargo test -p snakepit-core document`
//! writes it.

use std::fmt::Write as _;
use std::path::Path;

use crate::telemetry::declare::EventSpec;
use crate::telemetry::event::Event;
use crate::telemetry::metric::{self, MetricSpec};

const HEAD: &str = "# Events and metrics

Written by a test from `snakepit-core/src/telemetry/`; after a change there,
`SNAKEPIT_WRITE_DOCS=1 cargo test -p snakepit-core document` writes it anew.

Names are stable, and fields are only added. No event holds arguments or answers.

## Events

`Snakepit::events` and `PoolRef::events` subscribe to them, and `SnakepitBuilder::events` hears the start, too. Each is also
a `tracing` event of the target `snakepit::events`, with the name as its message. As JSON an event is one flat object:
`at_unix_ms`, `event` with the name, and its fields.

| event | level | meaning | fields |
|---|---|---|---|
";

const METRICS: &str = "
## Metrics

They go through the `metrics` facade, to the recorder that is installed when the pit starts. Without one they cost next to
nothing.

| metric | kind | unit | labels | meaning |
|---|---|---|---|---|
";

const SPANS: &str = "
## Spans and calls

Each call is a `tracing` span `snakepit.call` at level `INFO`, below the span that its caller is in, with `pool`, `request`,
`command` and, at its end, `outcome`. Below it lie `queue`, while the call waits for a worker, and `execute`, with `worker`,
while one has it. A call that is tried again has several of each. Their target is `snakepit::calls`.

The worker's own span is joined by the `traceparent` of the request, which is handed to the worker untouched. None is made
up where the caller gives none: without an exporter nobody could join it.

At level `DEBUG` the same target has an event for the end of each call: `pool`, `request`, `command`, `bytes` of the
arguments, `outcome`, `waited`, `ran`, `session`, `worker`. The option `telemetry.enabled = false` turns it off.
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for EventSpec { name, level, meaning, fields } in Event::ALL {
        let fields: Vec<_> =
            fields.iter().map(|(field, says)| format!("`{field}`: {}", sentence(says))).collect();
        writeln!(text, "| `{name}` | {level} | {} | {} |", sentence(meaning), fields.join("<br>")).unwrap();
    }
    text.push_str(METRICS);
    for MetricSpec { name, kind, unit, labels, meaning } in metric::ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let unit = unit.map_or("", |unit| unit.as_canonical_label());
        writeln!(text, "| `{name}` | {kind} | {unit} | {} | {} |", labels.join(", "), sentence(meaning))
            .unwrap();
    }
    text + SPANS
}

/// The lines of a declaration's comment as one.
fn sentence(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "who runs the test says whether it writes")]
fn the_document_lists_every_event_and_metric_as_it_is_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    if std::env::var("SNAKEPIT_WRITE_DOCS").is_ok() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == document(), "docs/events.md is out of date; see its first lines");
}
