//! A start that has to clean up first, on a machine with many processes.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::{HANG, Keeping};

use crate::figures::Figures;

/// Processes of somebody else.
const CROWD: &str = "for i in $(seq 2000); do sleep 300 & done; echo up; wait";

pub(crate) fn measure(roles: &Path, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    const QUIET: &str = "start that has to end 10 trees of a killed run";
    figures.took(QUIET, None, recovery(roles)?);
    let mut crowd = Keeping::by(roles).run(Path::new("/bin/sh"), ["-c", CROWD])?;
    crowd.line(HANG).ok_or("no crowd")?;
    figures.took("the same beside 2,000 processes", Some(QUIET), recovery(roles)?);
    Ok(())
}

/// Kills a host and its shims at once, and says how long the next start took, which cleans up first.
fn recovery(roles: &Path) -> Result<Duration, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut kept = crate::host(roles, directory.path(), &["--size", "10"], &["--keep-env"])?;
    kept.line(HANG).ok_or("the host is not ready")?;
    let shims = kept.shims();
    kept.host().signal(Signal::SIGKILL);
    for shim in &shims {
        shim.signal(Signal::SIGKILL);
    }
    kept.until_ended(HANG);
    let mut next = crate::host(roles, directory.path(), &["--size", "1"], &["--keep-env"])?;
    next.line(HANG).ok_or("the host is not ready")?;
    let micros = next.ask("took")?.parse()?;
    kept.until_empty(HANG).map_err(|left| format!("{} are left", left.len()))?;
    next.host().signal(Signal::SIGKILL);
    next.until_empty(HANG).map_err(|left| format!("{} are left", left.len()))?;
    Ok(Duration::from_micros(micros))
}
