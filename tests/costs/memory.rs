//! What a shim needs of memory, as its share of what is shared (PSS).

use std::error::Error;
use std::fs;
use std::path::Path;

use snakepit_tests::keeper::HANG;
use snakepit_tests::oracle::children;

use crate::figures::Figures;

const WORKERS: u32 = 50;

pub(crate) fn measure(roles: &Path, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let flags = ["--size", &WORKERS.to_string()];
    let mut kept =
        crate::host(roles, directory.path(), &flags, &["--polite", "--no-daemon", "--no-grandchild"])?;
    let workers = kept.line(HANG).ok_or("the host is not ready")?;
    let shims = children(kept.host().pid());
    if shims.len() != usize::try_from(WORKERS)? {
        return Err(format!("{} shims for {WORKERS} workers", shims.len()).into());
    }
    let mut total = 0;
    for shim in &shims {
        total += pss_kb(shim.pid)?;
    }
    let mut workers_kb = 0;
    for worker in workers.split(' ') {
        workers_kb += pss_kb(worker.parse()?)?;
    }
    let per = |total: u32| f64::from(total) / f64::from(WORKERS);
    figures.add("memory of a small worker in Rust", "kB", None, per(workers_kb));
    figures.add("memory of a shim", "kB", Some("memory of a small worker in Rust"), per(total));
    Ok(())
}

fn pss_kb(pid: i32) -> Result<u32, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    Ok(line.split_ascii_whitespace().next().ok_or("an empty Pss")?.parse()?)
}
