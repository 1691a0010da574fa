//! What holds of the pool's books after every message, whatever has happened. Looked at where debug assertions are on: by
//! every test, and by no service.

use std::collections::BTreeMap;

use crate::pool::actor::PoolState;
use crate::pool::in_flight::Stage;
use crate::pool::message::Life;

/// How many requests there are of each stage.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    routing: usize,
    resting: usize,
    waiting: usize,
    /// How many requests each worker has, and how many of these nobody waits for.
    running: BTreeMap<Life, (u16, u16)>,
}

impl PoolState {
    /// Says where two books disagree: requests are counted where they are, workers have the requests that they are said to
    /// have, and no request is due more than once.
    pub(super) fn imbalance(&self) -> Option<String> {
        if self.closing.is_some() {
            // A pool that ends lets go of its requests before its workers do.
            return None;
        }
        let (sums, booked) = (self.sums(), self.booked());
        if sums != booked {
            return Some(format!("requests come to {sums:?}, and the books to {booked:?}"));
        }
        let (due, flights) = (self.deadlines.len(), self.in_flight.ids().len());
        (due > flights).then(|| format!("{flights} requests are due {due} times"))
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for flight in self.in_flight.flights() {
            match flight.stage {
                Stage::Routing => sums.routing += 1,
                Stage::Resting { .. } => sums.resting += 1,
                Stage::Waiting(_) => sums.waiting += 1,
                Stage::Running(run) => sums.running.entry(run.life).or_default().0 += 1,
                Stage::Abandoned { run, .. } => {
                    let (running, abandoned) = sums.running.entry(run.life).or_default();
                    (*running, *abandoned) = (*running + 1, *abandoned + 1);
                }
            }
        }
        sums
    }

    fn booked(&self) -> Sums {
        let ready = self.roster.slots().filter_map(|(slot, place)| {
            let ready = place.ready()?;
            Some((Life { slot, incarnation: ready.incarnation }, ready.of_this_pool()))
        });
        Sums {
            routing: self.routing,
            resting: self.resting,
            waiting: self.line.len(),
            running: ready.filter(|(_, (running, _))| *running > 0).collect(),
        }
    }
}
