//! Whether a running process is what an earlier run left behind.

use crate::process::sighting::Marking;
use crate::process::{HostRun, Marker};
use crate::process_registry::record::Record;

/// What to do with a process.
#[must_use = "an orphan that nobody ends runs for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrphanVerdict {
    /// An earlier run left it: end it.
    End,
    /// It belongs to somebody else: never touch it.
    Stranger,
    /// It may be either, and the system does not say which: leave it, and keep its record.
    Unknown,
}

/// What became of the host that a marker names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkedHost {
    Runs,
    Gone,
}

/// Judges a process by its marker alone. An orphan carries the mark of our registry and of another run than ours, whose
/// host is gone, or is this very process: a former run of ours, since the directory is ours now.
pub(super) fn judge_marker(marker: &Marker, own: &HostRun, host: MarkedHost) -> OrphanVerdict {
    let of_ours = marker.registry == own.registry && marker.run != own.run;
    let abandoned = host == MarkedHost::Gone || marker.host == own.host;
    if of_ours && abandoned { OrphanVerdict::End } else { OrphanVerdict::Stranger }
}

/// Judges a process that has the number and the start of a recorded one, where nothing better tells processes apart.
pub(super) fn judge_uncertain(marking: &Marking, record: &Record) -> OrphanVerdict {
    match marking {
        Marking::Marked(marker)
            if marker.run == record.run() && Some(&marker.life) == record.life().as_ref() =>
        {
            OrphanVerdict::End
        }
        Marking::Marked(_) | Marking::Unmarked => OrphanVerdict::Stranger,
        Marking::Unreadable | Marking::InExec => OrphanVerdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::{HostMark, ProcessIdentity, RegistryId, RunId};

    fn life(incarnation: u64) -> WorkerLife {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        WorkerLife { worker, incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn only_what_an_earlier_run_on_our_registry_abandoned_is_ended() {
        let own = HostRun::of_a_test();
        let other_run = HostRun { run: RunId::new(), ..own };
        let parent = ProcessIdentity::read(std::os::unix::process::parent_id().cast_signed()).unwrap();
        let other_host = HostRun { host: HostMark::of(&parent), ..other_run };
        let registry: RegistryId = serde_json::from_value(8.into()).unwrap();
        let table = [
            ("its host is gone", other_host, MarkedHost::Gone, OrphanVerdict::End),
            ("its host runs", other_host, MarkedHost::Runs, OrphanVerdict::Stranger),
            ("a former run of this process", other_run, MarkedHost::Runs, OrphanVerdict::End),
            ("our own run", own, MarkedHost::Runs, OrphanVerdict::Stranger),
            ("our own run, its host misread", own, MarkedHost::Gone, OrphanVerdict::Stranger),
            (
                "another registry",
                HostRun { registry, ..other_host },
                MarkedHost::Gone,
                OrphanVerdict::Stranger,
            ),
            (
                "another registry of this process",
                HostRun { registry, ..other_run },
                MarkedHost::Runs,
                OrphanVerdict::Stranger,
            ),
        ];
        for (case, marked, host, verdict) in table {
            assert_eq!(judge_marker(&marked.marker(&life(1)), &own, host), verdict, "{case}");
        }
    }

    #[test]
    fn a_number_and_a_start_need_the_mark_of_the_very_life() {
        let run = HostRun::of_a_test();
        let host = ProcessIdentity::read(std::process::id().cast_signed()).unwrap();
        let record = Record::intent((run.run, &host), &life(1), None, 1);
        let table = [
            (Marking::Marked(run.marker(&life(1))), OrphanVerdict::End),
            (Marking::Marked(run.marker(&life(2))), OrphanVerdict::Stranger),
            (Marking::Marked(HostRun::of_a_test().marker(&life(1))), OrphanVerdict::Stranger),
            (Marking::Unmarked, OrphanVerdict::Stranger),
            (Marking::Unreadable, OrphanVerdict::Unknown),
            (Marking::InExec, OrphanVerdict::Unknown),
        ];
        for (marking, verdict) in table {
            assert_eq!(judge_uncertain(&marking, &record), verdict, "{marking:?}");
        }
    }
}
