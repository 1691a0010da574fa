//! The records on disk: one redb file for each boot and process namespace. Every call blocks for a commit.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, ConcurrencyMode, Database, TableDefinition};
use serde::{Deserialize, Serialize};
use tracing::warn;

mod backend;
mod damage;
mod folder;
mod reading;

use crate::process::identity::Scope;
use crate::process::{ProcessIdentity, RunId};
use crate::process_registry::record::Record;
use backend::PageCache;
use damage::{OpenFault, OpenVerdict, judge};
pub(super) use folder::unix_ms;
pub(super) use reading::read;

/// How the records are laid out. A file with a higher number was written by a later version.
const SCHEMA: u64 = 1;
/// More than all records of any host.
const CACHE_BYTES: usize = 4 << 20;

/// The key of a record -> the record as JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// [`ORIGIN_KEY`] -> [`Origin`] as JSON.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ORIGIN_KEY: &str = "origin";

/// Who has a file open, or had it open last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    schema: u64,
    scope: Scope,
    pub(super) run: RunId,
    pub(super) host: ProcessIdentity,
    /// Whether it left with every record taken out.
    pub(super) clean_shutdown: bool,
}

/// The records of this host and of earlier ones.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    origin: Origin,
    /// `None` after a failure, until the next use opens it again.
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    database: Database,
    /// Device and inode: what the name must still stand for.
    id: (u64, u64),
}

/// What was found when the file was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Who had the file before; `None` where there was no file, or none that means anything now.
    pub(super) previous: Option<Origin>,
    /// Where a file went that could not be opened.
    pub(super) put_aside: Option<PathBuf>,
}

/// Why the store did not do what it was asked. A record that was to be written may not be there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process has the file open.
    #[error("another process has it open")]
    InUse,
    /// The disk or the system failed.
    #[error("{0}")]
    Failed(String),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Failed(error.into().to_string())
    }
}

impl Origin {
    /// A run of this version in this scope.
    pub(super) fn new(scope: Scope, run: RunId, host: ProcessIdentity) -> Self {
        Self { schema: SCHEMA, scope, run, host, clean_shutdown: false }
    }
}

impl Store {
    /// Opens the file of the origin's scope, making it where there is none. What is in it is checked first; a file that
    /// is damaged, or of a later version, is put aside. Files of other boots are deleted.
    pub(crate) fn open(directory: &Path, origin: Origin) -> Result<(Self, Found), StoreError> {
        folder::tidy(directory, &origin.scope)?;
        let mut store = Self { directory: directory.to_owned(), origin, file: None };
        let found = store.open_file()?;
        Ok((store, found))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> PathBuf {
        folder::path(&self.directory, &self.origin.scope)
    }

    fn open_file(&mut self) -> Result<Found, StoreError> {
        let path = self.path();
        let mut found = Found::default();
        loop {
            // The store checks what it reads and still may stumble over it.
            let opened = catch_unwind(AssertUnwindSafe(|| open_database(&path, &self.origin)));
            match opened.unwrap_or(Err(OpenFault::Panicked)) {
                Ok((file, previous)) => {
                    (self.file, found.previous) = (Some(file), previous);
                    return Ok(found);
                }
                Err(fault) => match judge(&fault) {
                    OpenVerdict::PutAside if found.put_aside.is_none() => {
                        let aside = folder::put_aside(&path)?;
                        warn!(file = %path.display(), %fault, "the process registry is of no use");
                        found.put_aside = Some(aside);
                    }
                    OpenVerdict::InUse => return Err(StoreError::InUse),
                    OpenVerdict::PutAside | OpenVerdict::Fail => {
                        return Err(StoreError::Failed(fault.to_string()));
                    }
                },
            }
        }
    }

    /// Makes sure that the file is open and still has its name. Says whether it is a new one, without what was written.
    pub(super) fn ready(&mut self) -> Result<FileState, StoreError> {
        let path = self.path();
        if self.file.as_ref().is_some_and(|file| file.is_at(&path)) {
            return Ok(FileState::Kept);
        }
        self.close();
        let found = self.open_file()?;
        let kept = found.previous.is_some_and(|previous| previous.run == self.origin.run);
        Ok(if kept { FileState::Kept } else { FileState::New })
    }

    /// Closes the file; the next use opens it again.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Writes records, and takes out those that are `None`, in one commit. When this returns `Ok`, it survives the death
    /// of this process. Needs a file that is [`ready`](Self::ready).
    pub(crate) fn commit(&mut self, changes: &[(String, Option<Record>)]) -> Result<(), StoreError> {
        let result = self.write(changes);
        if result.is_err() {
            // It refuses everything after a failure, until it is opened again.
            self.close();
        }
        result
    }

    fn write(&self, changes: &[(String, Option<Record>)]) -> Result<(), StoreError> {
        let transaction = self.database()?.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (key, record) in changes {
                match record {
                    Some(record) => records.insert(key.as_str(), json(record).as_slice())?,
                    None => records.remove(key.as_str())?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    /// Writes down that the run has ended with nothing left.
    pub(super) fn say_clean(&mut self) -> Result<(), StoreError> {
        self.origin.clean_shutdown = true;
        let transaction = self.database()?.begin_write()?;
        transaction.open_table(META)?.insert(ORIGIN_KEY, json(&self.origin).as_slice())?;
        Ok(transaction.commit()?)
    }

    /// Every record with its key; `None` for one that cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<(String, Option<Record>)>, StoreError> {
        Ok(reading::records(self.database()?)?)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        match &self.file {
            Some(file) => Ok(&file.database),
            None => Err(StoreError::Failed("the file is closed".to_owned())),
        }
    }
}

/// Whether what was written is still there.
#[must_use = "a new file has to be filled again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    Kept,
    New,
}

impl OpenFile {
    fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|data| (data.dev(), data.ino()) == self.id)
    }
}

/// The settings that every opening shares, for the writer and for those who read along.
fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        .set_check_integrity_on_open(true)
        .set_cache_size(CACHE_BYTES);
    builder
}

fn open_database(path: &Path, origin: &Origin) -> Result<(OpenFile, Option<Origin>), OpenFault> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let is_new = file.metadata()?.len() == 0;
    let opened = open_in(file, is_new, origin);
    if is_new && matches!(&opened, Err(fault) if judge(fault) != OpenVerdict::InUse) {
        // What was begun is no registry; left there, it would look like a damaged one.
        let _ = std::fs::remove_file(path);
    }
    opened
}

fn open_in(file: File, is_new: bool, origin: &Origin) -> Result<(OpenFile, Option<Origin>), OpenFault> {
    let id = id_of(&file)?;
    let database = builder().create_with_backend(PageCache::new(file)?)?;
    let previous = if is_new { None } else { Some(reading::origin(&database)?) };
    let previous = previous.filter(|previous| previous.scope == origin.scope);
    let transaction = database.begin_write()?;
    if previous.is_none() {
        // What another scope has recorded is dead, and its numbers mean others here.
        transaction.delete_table(RECORDS)?;
    }
    transaction.open_table(RECORDS)?;
    transaction.open_table(META)?.insert(ORIGIN_KEY, json(origin).as_slice())?;
    transaction.commit()?;
    Ok((OpenFile { database, id }, previous))
}

fn id_of(file: &File) -> std::io::Result<(u64, u64)> {
    let data = file.metadata()?;
    Ok((data.dev(), data.ino()))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers, text and options all have a JSON form")
}

#[cfg(test)]
mod tests;
