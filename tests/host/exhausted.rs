//! A runtime that goes away while the host can open no file descriptor.

use std::error::Error;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use snakepit_adapters::registry;

use crate::host::plan::Plan;
use crate::host::{PATIENCE, commands, runtime};
use crate::oracle::holds_within;

/// How long what is left may take to go. The driver waits longer.
const A_WHILE: Duration = Duration::from_secs(10);

/// Says `exhausted children C records R`: what is left of a pit whose runtime went when nothing could be opened.
pub(super) fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let doomed = runtime(plan)?;
    let pit = doomed.block_on(plan.builder().start())?;
    doomed.block_on(pit.await_ready("default", PATIENCE))?;
    println!("ready {}", plan.size);
    // Nothing can be opened any more, also where something is closed. Three still may be polled at once.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard)?;
    doomed.shutdown_timeout(Duration::ZERO);
    drop(pit);
    // Looks without a descriptor, and reaps none itself: that is for whoever started it.
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let is_childless = holds_within(A_WHILE, || waitid(Id::All, look) == Err(Errno::ECHILD));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    let after = runtime(plan)?;
    let records = || after.block_on(registry::list(plan.data_dir())).map(|view| view.rows.len());
    holds_within(A_WHILE, || matches!(records(), Ok(0)));
    println!("exhausted children {} records {}", if is_childless { "none" } else { "some" }, records()?);
    after.block_on(async {
        let mut said = commands::listen();
        while said.recv().await.is_some() {}
        std::future::pending::<()>().await;
    });
    Ok(())
}
