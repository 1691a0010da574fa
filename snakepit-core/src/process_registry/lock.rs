//! The `LOCK` file: one host at a time uses a data directory, and says who it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The name of the lock's file in the data directory.
const FILE: &str = "LOCK";

/// Holds a data directory until it is dropped, or until this process ends in whatever way (`flock(2)`).
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held, not used")] File);

/// Why a data directory could not be held.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another host holds it: what its file says of that host's process id.
    Held { holder: String },
    /// It cannot be made or written.
    Unusable(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error)
    }
}

impl DirectoryLock {
    /// Makes the directory where there is none, and holds it.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, LockError> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { holder: holder(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// The process id in the file. The holder may not have written it yet.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_is_refused_with_the_holders_pid() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er");
        let first = DirectoryLock::acquire(&path).unwrap();
        let Err(LockError::Held { holder }) = DirectoryLock::acquire(&path) else { panic!("held twice") };
        assert_eq!(holder, std::process::id().to_string());
        drop(first);
        assert!(DirectoryLock::acquire(&path).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let result = DirectoryLock::acquire(&directory.path().join("file/below"));
        assert!(matches!(result, Err(LockError::Unusable(_))));
    }
}
