//! Runtimes that are shut down under a pit: while its workers run, while they start, and before it starts any.

use std::error::Error;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::host::plan::Plan;
use crate::host::{PATIENCE, commands, runtime};

/// So many moments of a boot at which a runtime is shut down, a millisecond apart.
const MOMENTS: u64 = 12;

/// Says `ready N` when all workers of one runtime run, and `dropped` when everything has been shut down. The host stays.
pub(super) fn run(plan: &Plan, rounds: u32) -> Result<(), Box<dyn Error>> {
    let steady = runtime(plan)?;
    let pit = steady.block_on(plan.builder().start())?;
    steady.block_on(pit.await_ready("default", PATIENCE))?;
    println!("ready {}", plan.size);
    // The handle outlives its runtime, as a static would.
    steady.shutdown_background();
    for round in 0..rounds {
        for moment in 0..MOMENTS {
            let booting = runtime(plan)?;
            let start = plan.builder_below(&format!("round-{round}-{moment}")).start();
            let pit = booting.block_on(start)?;
            booting.block_on(async { tokio::time::sleep(Duration::from_millis(moment)).await });
            booting.shutdown_background();
            drop(pit);
        }
    }
    let dead = runtime(plan)?;
    let handle: Handle = dead.handle().clone();
    dead.shutdown_background();
    let builder = plan.builder_below("after");
    // A task of a runtime that is shut down is dropped without a turn, and so starts nothing.
    let late = handle.spawn(builder.start());
    println!("dropped");
    let stays = runtime(plan)?;
    stays.block_on(async {
        if late.await.is_ok_and(|started| started.is_ok()) {
            println!("a pit was started on a runtime that was shut down");
        }
        let mut said = commands::listen();
        while said.recv().await.is_some() {}
        std::future::pending::<()>().await;
    });
    drop(pit);
    Ok(())
}
