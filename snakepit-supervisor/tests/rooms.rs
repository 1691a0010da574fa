//! The walls of the pure rooms: they know no actor, no task and no clock.

use std::path::{Path, PathBuf};

fn pure_rooms() -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let core = std::fs::read_dir(src.join("core")).expect("the core is there");
    let mut rooms: Vec<PathBuf> = core.map(|entry| entry.expect("a file").path()).collect();
    rooms.extend(
        ["core.rs", "restart.rs", "backoff.rs", "quarantine.rs", "moment.rs"].map(|name| src.join(name)),
    );
    rooms
}

#[test]
fn the_pure_rooms_know_no_actor_and_no_clock() {
    let rooms = pure_rooms();
    assert!(rooms.len() > 12, "{rooms:?}");
    for room in rooms {
        let text = std::fs::read_to_string(&room).expect("it can be read");
        // What a comment says of ractor is no dependency.
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for stranger in ["ractor::", "tokio::", "Instant", "SystemTime", "async ", ".await", "rand::"] {
                assert!(!line.contains(stranger), "{}: {line}", room.display());
            }
        }
    }
}
