//! The registry for operators: what it records, held against the system, and nothing changed.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::id::{Incarnation, Slot};
use crate::process::ProcessIdentity;
use crate::process::identity::Scope;
use crate::process::sighting::{Sighting, scan};
use crate::process_registry::record::Record;
use crate::process_registry::store::read;

/// What a registry says of its host and its workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegistryView {
    /// The process id of the host that uses the directory, or was the last to; `None` where there has been none since
    /// the machine was started.
    pub host: Option<i32>,
    /// Whether that host runs.
    pub host_runs: bool,
    /// Whether it left with nothing running. One that runs has not.
    pub clean_shutdown: bool,
    /// The recorded processes, by pool, slot and incarnation.
    pub rows: Vec<ProcessRow>,
}

/// One recorded life of a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct ProcessRow {
    /// Its pool.
    pub pool: String,
    /// Its slot.
    pub slot: Slot,
    /// Which of the slot's lives.
    pub incarnation: Incarnation,
    /// The process id on record; `None` where it had none yet.
    pub pid: Option<i32>,
    /// What the system says of that process.
    pub state: ProcessState,
}

/// What the system says of a recorded process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs.
    Alive,
    /// It does not run, and nobody has its process id.
    Dead,
    /// It does not run; its process id belongs to another process by now.
    Foreign,
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Foreign => "foreign",
        })
    }
}

/// Why a registry could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the process registry in {} cannot be read: {message}", path.display())]
pub struct ListError {
    path: PathBuf,
    message: String,
}

/// Reads the registry of a data directory, and looks at what each of its processes does.
///
/// Works beside a live host and after a dead one, and changes nothing; [`recover`](crate::registry::recover) does.
///
/// # Errors
/// [`ListError`] for a directory that is not there, or a file that cannot be read.
///
/// # Cancellation
/// Dropping the future stops waiting and nothing else.
pub async fn list(data_dir: impl AsRef<Path>) -> Result<RegistryView, ListError> {
    let path = data_dir.as_ref().to_owned();
    let failed = {
        let path = path.clone();
        move |message: String| ListError { path, message }
    };
    match spawn_blocking(move || look(&path)).await {
        Ok(Ok(view)) => Ok(view),
        Ok(Err(message)) => Err(failed(message)),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn look(data_dir: &Path) -> Result<RegistryView, String> {
    let failed = |error: std::io::Error| error.to_string();
    std::fs::read_dir(data_dir).map_err(failed)?;
    let scope = Scope::read().map_err(failed)?;
    let mut view = RegistryView { host: None, host_runs: false, clean_shutdown: false, rows: Vec::new() };
    let Some(reading) = read(data_dir, &scope).map_err(|error| error.to_string())? else {
        return Ok(view);
    };
    let sightings = scan().map_err(failed)?;
    view.host = Some(reading.origin.host.pid());
    view.host_runs = reading.origin.host.runs().map_err(failed)?;
    view.clean_shutdown = reading.origin.clean_shutdown;
    for record in &reading.records {
        view.rows.extend(row(record, &sightings).map_err(failed)?);
    }
    view.rows.sort();
    Ok(view)
}

/// `None` for a record of a pool that cannot be.
fn row(record: &Record, sightings: &[Sighting]) -> std::io::Result<Option<ProcessRow>> {
    let Some(life) = record.life() else { return Ok(None) };
    let of_life = |sighting: &&Sighting| sighting.marker.run == record.run() && sighting.marker.life == life;
    // Between the intent and the process's number in the record, the mark knows more.
    let process = record.worker().or_else(|| Some(&sightings.iter().find(of_life)?.identity));
    Ok(Some(ProcessRow {
        pool: life.worker.pool.to_string(),
        slot: life.worker.slot,
        incarnation: life.incarnation,
        pid: process.map(ProcessIdentity::pid),
        state: process.map_or(Ok(ProcessState::Dead), state)?,
    }))
}

fn state(process: &ProcessIdentity) -> std::io::Result<ProcessState> {
    if process.runs()? {
        return Ok(ProcessState::Alive);
    }
    match ProcessIdentity::read(process.pid()) {
        Ok(other) if other != *process => Ok(ProcessState::Foreign),
        Ok(_) => Ok(ProcessState::Dead),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ProcessState::Dead),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forged(change: impl FnOnce(&mut serde_json::Value)) -> ProcessIdentity {
        let own = ProcessIdentity::read(std::process::id().cast_signed()).unwrap();
        let mut identity = serde_json::to_value(own).unwrap();
        change(&mut identity);
        serde_json::from_value(identity).unwrap()
    }

    #[test]
    fn a_process_is_alive_dead_or_another() {
        assert_eq!(state(&forged(|_| {})).unwrap(), ProcessState::Alive);
        assert_eq!(state(&forged(|identity| identity["inode"] = 1.into())).unwrap(), ProcessState::Foreign);
        assert_eq!(state(&forged(|identity| identity["pid"] = i32::MAX.into())).unwrap(), ProcessState::Dead);
    }

    #[tokio::test]
    async fn a_directory_without_a_registry_has_no_rows_and_one_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let view = list(directory.path()).await.unwrap();
        assert_eq!((view.host, view.rows), (None, Vec::new()));
        assert!(list(directory.path().join("none")).await.is_err());
    }
}
