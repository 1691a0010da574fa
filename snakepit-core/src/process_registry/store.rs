//! The records on disk: one redb table. Every call blocks for a commit.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::process::Marker;
use crate::process_registry::record::Record;

/// The name of the registry's file in the data directory.
const FILE: &str = "processes.redb";

/// Marker of a life -> its record as JSON. The name carries the schema's version.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records-1");

/// The records of this host and of earlier ones.
#[derive(Debug)]
pub(crate) struct Store(Database);

/// The disk or the file failed. A record that was to be written may not be there.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct StoreError {
    #[source]
    source: redb::Error,
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(source: E) -> Self {
        Self { source: source.into() }
    }
}

impl Store {
    /// Where the file is.
    pub(crate) fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Opens the file, making it where there is none. What is in it is checked first and never trusted when damaged.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let database = Database::builder().set_check_integrity_on_open(true).create(Self::path(directory))?;
        let transaction = database.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    /// Writes a record. When this returns, the record survives the death of this process.
    pub(crate) fn put(&self, marker: &Marker, record: &Record) -> Result<(), StoreError> {
        let json = serde_json::to_vec(record)
            .expect("a record is numbers, text and options, which all have a JSON form");
        let transaction = self.0.begin_write()?;
        transaction.open_table(RECORDS)?.insert(marker.to_string().as_str(), json.as_slice())?;
        Ok(transaction.commit()?)
    }

    /// Takes records out, in one commit.
    pub(crate) fn remove(&self, markers: &[Marker]) -> Result<(), StoreError> {
        let transaction = self.0.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for marker in markers {
                records.remove(marker.to_string().as_str())?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Every record that can be read; one that cannot is passed over and stays.
    pub(crate) fn all(&self) -> Result<Vec<Record>, StoreError> {
        let records = self.0.begin_read()?.open_table(RECORDS)?;
        let mut all = Vec::new();
        for entry in records.iter()? {
            all.extend(serde_json::from_slice::<Record>(entry?.1.value()));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::{ProcessIdentity, RunId};

    fn marker(slot: u16) -> Marker {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(slot) };
        Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(1) } }
    }

    #[test]
    fn records_outlive_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let (kept, gone) = (marker(0), marker(1));
        let identity = ProcessIdentity::read(i32::try_from(std::process::id()).unwrap()).unwrap();
        let record = Record::reserved(&kept, "boot").activated(identity);
        {
            let store = Store::open(directory.path()).unwrap();
            store.put(&kept, &Record::reserved(&kept, "boot")).unwrap();
            store.put(&gone, &Record::reserved(&gone, "boot")).unwrap();
            store.put(&kept, &record).unwrap();
            store.remove(std::slice::from_ref(&gone)).unwrap();
        }
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.all().unwrap(), [record]);
        assert_eq!(store.all().unwrap()[0].marker(), Some(kept));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_panic() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), b"this is no database, whatever its name says").unwrap();
        assert!(Store::open(directory.path()).is_err());
    }
}
