//! A pit that is started and stopped many times over, with workers that fork twice: nothing of the host may grow.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{self, Bed};
use crate::sum::Sum;

/// What the last saying may have more than the first, after which everything has been used once.
const SLACK: [(&str, u64); 5] =
    [("zombies", 0), ("descendants", 0), ("fds", 0), ("rss_kb", 4096), ("registry_bytes", 128 * 1024)];
/// How long one tenth of the cycles may take.
const PATIENCE: Duration = Duration::from_hours(1);

pub(crate) fn run(bed: &Bed, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let directory = bed::directory()?;
    let mode = format!("cycles={}", ask.rounds);
    let mut kept =
        bed.host(directory.path(), &["--mode", &mode, "--size", "2", "--grace", "2000"], &["--polite"])?;
    let mut first = None;
    loop {
        let line = kept.line(PATIENCE).ok_or("the host says no more")?;
        if line.starts_with("done") {
            break;
        }
        println!("{line}");
        let said = figures(&line);
        let first = first.get_or_insert_with(|| said.clone());
        for (name, slack) in SLACK {
            if said[name] > first[name] + slack {
                sum.complain(ask.rounds, &format!("{name} grows: {} and then {}", first[name], said[name]));
            }
        }
    }
    sum.rounds = ask.rounds;
    let done = Instant::now();
    match kept.until_empty(Duration::from_secs(5)) {
        Ok(empty) => sum.emptied(empty - done),
        Err(left) => sum.survived(ask.rounds, "cycles", &left),
    }
    Ok(())
}

/// `name number name number ..`.
fn figures(line: &str) -> BTreeMap<String, u64> {
    let words: Vec<_> = line.split(' ').collect();
    words.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap_or_default())).collect()
}
