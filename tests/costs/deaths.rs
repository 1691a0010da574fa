//! From the death of a host to the last death below it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::HANG;
use tokio::time::Instant;

use crate::figures::Figures;

pub(crate) fn measure(roles: &Path, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    const ONE: &str = "kill of the host to the last death, 1 worker";
    figures.took(ONE, None, last_death(roles, "1", &["--no-daemon", "--no-grandchild"])?);
    let hundred = last_death(roles, "100", &["--no-daemon", "--no-grandchild"])?;
    figures.took("the same, 100 workers", Some(ONE), hundred);
    figures.took(
        "the same, 100 worst workers of four processes each",
        Some(ONE),
        last_death(roles, "100", &[])?,
    );
    Ok(())
}

fn last_death(roles: &Path, size: &str, misdeeds: &[&str]) -> Result<Duration, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut kept = crate::host(roles, directory.path(), &["--size", size], misdeeds)?;
    kept.line(HANG).ok_or("the host is not ready")?;
    let hit = Instant::now();
    kept.host().signal(Signal::SIGKILL);
    let empty = kept.until_empty(HANG).map_err(|left| format!("{} are left", left.len()))?;
    Ok(empty - hit)
}
