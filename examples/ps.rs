//! What a host's registry of processes says, held against the system: `cargo run --example ps -- DATA_DIR [--recover]`.
//!
//! Without `--recover` it reads along with a live host, or after a dead one, and changes nothing: a header, then a line
//! for each recorded process. With it, what a dead host left is ended, and told. Leaves with 0; with 1 where that
//! failed, for one because a live host uses the directory; with 2 where it was called wrongly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use snakepit_core::registry::{RegistryView, list, recover};

const USAGE: &str = "usage: ps DATA_DIR [--recover]";

/// What was asked for.
enum Order {
    List(PathBuf),
    Recover(PathBuf),
}

fn order(mut args: impl Iterator<Item = String>) -> Option<Order> {
    let directory = args.next().filter(|directory| !directory.starts_with('-'))?;
    let order = match args.next().as_deref() {
        None => Order::List(directory.into()),
        Some("--recover") => Order::Recover(directory.into()),
        Some(_) => return None,
    };
    args.next().is_none().then_some(order)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(order) = order(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = match &order {
        Order::List(directory) => print_list(directory).await,
        Order::Recover(directory) => print_recovery(directory).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ps: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn print_list(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let view = list(directory).await?;
    println!("pool slot incarnation pid state");
    for row in &view.rows {
        let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        println!("{} {} {} {pid} {}", row.pool, row.slot, row.incarnation, row.state);
    }
    eprintln!("{}", about_host(&view));
    Ok(())
}

fn about_host(view: &RegistryView) -> String {
    match view.host {
        None => "no host has used this directory since the machine was started".to_owned(),
        Some(pid) if view.host_runs && !view.clean_shutdown => format!("host {pid} is alive"),
        Some(pid) if view.clean_shutdown => format!("host {pid} has left with nothing running"),
        Some(pid) => format!("host {pid} is dead; run again with --recover"),
    }
}

async fn print_recovery(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let report = recover(directory).await?;
    let (records, ended) = (report.records, report.ended);
    let (survivors, unreadable) = (report.survivors, report.unreadable);
    println!("{records} records, {ended} ended, {survivors} survivors, {unreadable} unreadable");
    if let Some(file) = &report.quarantined_file {
        println!("put aside: {}", file.display());
    }
    if survivors + unreadable > 0 {
        return Err("something of an earlier run may still be running; its records are kept".into());
    }
    Ok(())
}
