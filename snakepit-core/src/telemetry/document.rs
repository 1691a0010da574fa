//! The document of all events, made of their declarations. `SNAKEPIT_WRITE_DOCS=1 cargo test -p snakepit-core document`
//! writes it.

use std::fmt::Write as _;
use std::path::Path;

use crate::telemetry::declare::EventSpec;
use crate::telemetry::event::Event;

const HEAD: &str = "# Events

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

fn document() -> String {
    let mut text = HEAD.to_owned();
    for EventSpec { name, level, meaning, fields } in Event::ALL {
        let fields: Vec<_> =
            fields.iter().map(|(field, says)| format!("`{field}`: {}", sentence(says))).collect();
        writeln!(text, "| `{name}` | {level} | {} | {} |", sentence(meaning), fields.join("<br>")).unwrap();
    }
    text
}

/// The lines of a declaration's comment as one.
fn sentence(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "who runs the test says whether it writes")]
fn the_document_lists_every_event_as_it_is_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    if std::env::var("SNAKEPIT_WRITE_DOCS").is_ok() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == document(), "docs/events.md is out of date; see its first lines");
}
