//! What these tests play with: processes that were left behind, processes that were not, and the registry's file.

use std::future::Future;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use snakepit_tests::oracle::Mark;

use crate::system::host_death::{Host, spawn};
use crate::system::subject::HANG;

pub(super) type Table = TableDefinition<'static, &'static str, &'static [u8]>;
pub(super) const RECORDS: Table = TableDefinition::new("records");
pub(super) const META: Table = TableDefinition::new("meta");

/// Runs a test once: nothing here depends on the flavour of the runtime.
pub(super) fn once<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let in_time = runtime.block_on(async { tokio::time::timeout(HANG, test()).await });
    in_time.expect("the test hangs");
}

/// A process that the test started, in a group of its own, killed with the test at the latest.
pub(super) struct Sleeper(Child);

impl Sleeper {
    /// One that has nothing to do with any host.
    pub(super) fn bystander() -> Self {
        Self::start(|_| {})
    }

    /// One that carries the mark of a host's worker, as if that had started it: when the host is dead, an orphan.
    pub(super) fn left_by(host: &Host, mark: &Mark) -> Self {
        Self::left_by_worker(host.workers[0], mark)
    }

    /// The same, as this worker had started it.
    pub(super) fn left_by_worker(worker: i32, mark: &Mark) -> Self {
        let snakepit_mark = environment(worker, "SNAKEPIT_MARK");
        Self::start(|sleep| {
            sleep.env("SNAKEPIT_MARK", snakepit_mark).env(Mark::VARIABLE, mark.value());
        })
    }

    fn start(change: impl FnOnce(&mut Command)) -> Self {
        let mut sleep = Command::new("sleep");
        sleep.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        change(&mut sleep);
        Self(spawn(&mut sleep))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have been killed, which is what most of these tests are about.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A variable in the environment of a process.
fn environment(pid: i32, variable: &str) -> String {
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let pair = environment.split('\0').find_map(|pair| pair.strip_prefix(variable)?.strip_prefix('='));
    pair.unwrap_or_else(|| panic!("{pid} has no {variable}")).to_owned()
}

/// The one registry file in a data directory.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "redb")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Every row of a table, where no host has the file open.
pub(super) fn rows(file: &Path, table: Table) -> Vec<(String, Value)> {
    let database = Database::open(file).unwrap();
    let table = database.begin_read().unwrap().open_table(table).unwrap();
    let rows = table.iter().unwrap().map(|row| {
        let (key, json) = row.unwrap();
        (key.value().to_owned(), serde_json::from_slice(json.value()).unwrap())
    });
    rows.collect()
}

/// Writes rows, where no host has the file open.
pub(super) fn write(file: &Path, table: Table, rows: &[(String, Value)]) {
    let transaction = Database::open(file).unwrap();
    let transaction = transaction.begin_write().unwrap();
    for (key, value) in rows {
        let json = serde_json::to_vec(value).unwrap();
        transaction.open_table(table).unwrap().insert(key.as_str(), json.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}
