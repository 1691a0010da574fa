//! Workers that were started from threads which end soon after: they must not end with them.
//!
//! A thread of the blocking pool is let go after 10 s without work, and a worker thread that was blocked in place becomes
//! one; a worker whose parent death signal were bound to such a thread would die with it, healthy as it is.

use std::error::Error;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::HANG;

use crate::bed::{self, Bed};
use crate::sum::Sum;

/// Half as long again as a thread of the blocking pool stays.
const WATCHED: Duration = Duration::from_secs(15);

pub(crate) fn run(bed: &Bed, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let mut hosts = Vec::new();
    for on in ["task", "spawn_blocking", "block_in_place"] {
        let directory = bed::directory()?;
        let mut kept = bed.host(directory.path(), &["--on", on], &[])?;
        let pids = kept.line(HANG).ok_or("the host is not ready")?;
        hosts.push((on, kept, pids, directory));
    }
    for (number, (on, mut kept, pids, _directory)) in (1..).zip(hosts) {
        sum.rounds = number;
        // They all wait at the same time: the later ones have less and less to wait for.
        let _ = kept.line(WATCHED);
        let now = kept.ask("pids")?;
        if now != pids {
            sum.complain(number, &format!("workers started on {on} were {pids} and are {now}"));
        }
        kept.host().signal(Signal::SIGKILL);
        if let Err(left) = kept.until_empty(HANG) {
            sum.survived(number, on, &left);
        }
    }
    Ok(())
}
