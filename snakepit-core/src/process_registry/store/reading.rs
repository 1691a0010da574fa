//! The file as others read it: beside a live host, after a dead one, never changing it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};
use serde::Deserialize;

use crate::process::identity::Scope;
use crate::process_registry::record::Record;
use crate::process_registry::store::damage::OpenFault;
use crate::process_registry::store::{
    CACHE_BYTES, META, ORIGIN_KEY, Origin, RECORDS, SCHEMA, StoreError, builder, folder,
};

/// What a file says.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) origin: Origin,
    pub(crate) records: Vec<Record>,
}

/// Reads the file of a scope. `None` where there is none.
pub(crate) fn read(directory: &Path, scope: &Scope) -> Result<Option<Reading>, StoreError> {
    let path = folder::path(directory, scope);
    if !path.try_exists()? {
        return Ok(None);
    }
    let reading = catch_unwind(AssertUnwindSafe(|| match builder().open_read_only(&path) {
        Ok(database) => read_from(&database),
        // A killed host leaves a file that has to be repaired. A copy in memory is, and the file stays as it is.
        Err(_) => read_from(&copy(&path)?),
    }));
    let reading = reading.unwrap_or(Err(OpenFault::Panicked));
    let reading = reading.map_err(|fault| StoreError::Failed(fault.to_string()))?;
    Ok(Some(reading).filter(|reading| reading.origin.scope == *scope))
}

fn read_from(database: &impl ReadableDatabase) -> Result<Reading, OpenFault> {
    let records = records(database)?.into_iter().filter_map(|(_, record)| record).collect();
    Ok(Reading { origin: origin(database)?, records })
}

fn copy(path: &Path) -> Result<Database, OpenFault> {
    let bytes = std::fs::read(path)?;
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)?;
    copy.write(0, &bytes)?;
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true).set_cache_size(CACHE_BYTES);
    Ok(builder.create_with_backend(copy)?)
}

/// Every record with its key; `None` for one that cannot be read.
pub(super) fn records(
    database: &impl ReadableDatabase,
) -> Result<Vec<(String, Option<Record>)>, redb::Error> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let mut all = Vec::new();
    for entry in records.iter()? {
        let (key, json) = entry?;
        all.push((key.value().to_owned(), serde_json::from_slice(json.value()).ok()));
    }
    Ok(all)
}

/// Who has written the file.
pub(super) fn origin(database: &impl ReadableDatabase) -> Result<Origin, OpenFault> {
    #[derive(Deserialize)]
    struct SchemaAlone {
        schema: u64,
    }
    let meta = match database.begin_read()?.open_table(META) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Err(OpenFault::NoOrigin),
        table => table?,
    };
    let json = meta.get(ORIGIN_KEY)?.ok_or(OpenFault::NoOrigin)?;
    match serde_json::from_slice::<SchemaAlone>(json.value()) {
        Ok(SchemaAlone { schema }) if schema > SCHEMA => return Err(OpenFault::LaterSchema { schema }),
        _ => {}
    }
    serde_json::from_slice(json.value()).map_err(|_| OpenFault::NoOrigin)
}
