//! Whether a running process is what an earlier run left behind.

use crate::process::sighting::Sighting;
use crate::process_registry::record::Record;

/// What to do with a marked process, given a record of an earlier run.
#[must_use = "an orphan that nobody ends runs for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrphanVerdict {
    /// It belongs to the recorded life: end it.
    End,
    /// It does not: never touch it.
    Stranger,
}

/// Judges one process against one record.
///
/// The recorded process itself must match in number, start time, boot and marker. A process with another number belongs
/// to the recorded life only by its marker, which it inherited: a child of the worker, or the worker itself where the
/// host died between the start and writing its number down. Markers name a run by a number that is never used again.
pub(super) fn judge(record: &Record, sighting: &Sighting) -> OrphanVerdict {
    let same_boot = record.boot_id() == sighting.identity.boot_id();
    let same_life = record.marker().is_some_and(|marker| marker == sighting.marker);
    let number_reused = record
        .process()
        .is_some_and(|process| process.pid() == sighting.identity.pid() && *process != sighting.identity);
    if same_boot && same_life && !number_reused { OrphanVerdict::End } else { OrphanVerdict::Stranger }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::{Marker, ProcessIdentity, RunId};

    fn marker() -> Marker {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(1) } }
    }

    fn identity(pid: i32, start_time: u64, boot_id: &str) -> ProcessIdentity {
        serde_json::from_value(serde_json::json!({"pid": pid, "start_time": start_time, "boot_id": boot_id}))
            .unwrap()
    }

    #[test]
    fn only_a_full_match_is_ended() {
        let marker = marker();
        let other = Marker { run: RunId::new(), ..marker.clone() };
        let reserved = Record::reserved(&marker, "boot");
        let active = reserved.clone().activated(identity(7, 100, "boot"));
        let table = [
            ("the recorded process", &active, identity(7, 100, "boot"), &marker, OrphanVerdict::End),
            ("same number, later start", &active, identity(7, 101, "boot"), &marker, OrphanVerdict::Stranger),
            ("another boot", &active, identity(7, 100, "later"), &marker, OrphanVerdict::Stranger),
            ("another marker", &active, identity(7, 100, "boot"), &other, OrphanVerdict::Stranger),
            (
                "a child that inherited the marker",
                &active,
                identity(8, 105, "boot"),
                &marker,
                OrphanVerdict::End,
            ),
            (
                "started but not written down",
                &reserved,
                identity(7, 100, "boot"),
                &marker,
                OrphanVerdict::End,
            ),
            (
                "reserved in another boot",
                &reserved,
                identity(7, 100, "later"),
                &marker,
                OrphanVerdict::Stranger,
            ),
        ];
        for (case, record, identity, marker, verdict) in table {
            assert_eq!(judge(record, &Sighting { identity, marker: marker.clone() }), verdict, "{case}");
        }
    }
}
