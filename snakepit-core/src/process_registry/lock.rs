//! The data directory, held: one host at a time uses it, and its `LOCK` file says who.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The name of the lock's file in the data directory.
const FILE: &str = "LOCK";
/// How often the locks are taken anew because what they lock was replaced meanwhile.
const ATTEMPTS: usize = 100;

/// Holds a data directory until it is dropped, or until this process ends in whatever way (`flock(2)`).
///
/// The directory itself is locked, so that deleting the files in it lets nobody else in. The file is locked besides, and
/// says who holds both.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    directory: Metadata,
    #[expect(dead_code, reason = "held, not used")]
    held: (File, File),
}

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
    pub(crate) fn acquire(path: &Path) -> Result<Self, LockError> {
        std::fs::create_dir_all(path)?;
        for _ in 0..ATTEMPTS {
            let directory = lock_directory(path)?;
            let mut file = lock_file(&path.join(FILE))?;
            // What was locked must be what others will find under the name.
            if is_at(&directory, path) && is_at(&file, &path.join(FILE)) {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())?;
                return Ok(Self { directory: directory.metadata()?, held: (directory, file) });
            }
        }
        Err(LockError::Unusable(io::Error::other("the directory is replaced again and again")))
    }

    /// What the system says of the directory that is held.
    pub(super) fn directory(&self) -> &Metadata {
        &self.directory
    }
}

fn lock_directory(path: &Path) -> Result<File, LockError> {
    let directory = File::open(path)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        // Some file systems lock no directories; there the file alone has to do.
        Ok(()) | Err(Errno::BADF | Errno::NOTSUP | Errno::INVAL | Errno::NOSYS) => Ok(directory),
        Err(Errno::WOULDBLOCK) => Err(held(&path.join(FILE))),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

fn lock_file(path: &Path) -> Result<File, LockError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(held(path)),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |data: &Metadata| (data.dev(), data.ino());
    matches!((file.metadata(), std::fs::metadata(path)), (Ok(held), Ok(found)) if id(&held) == id(&found))
}

/// The process id in the file. The holder may not have written it yet, or somebody may have deleted it.
fn held(path: &Path) -> LockError {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(32).read_to_string(&mut text));
    let holder = match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    };
    LockError::Held { holder }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(path: &Path) -> Option<String> {
        match DirectoryLock::acquire(path) {
            Ok(_) => None,
            Err(LockError::Held { holder }) => Some(holder),
            Err(LockError::Unusable(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_second_host_is_refused_with_the_holders_pid() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er");
        let first = DirectoryLock::acquire(&path).unwrap();
        assert_eq!(holder(&path), Some(std::process::id().to_string()));
        drop(first);
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn a_deleted_file_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        std::fs::remove_file(directory.path().join(FILE)).unwrap();
        assert_eq!(holder(directory.path()), Some("unknown".to_owned()));
        drop(first);
        assert_eq!(holder(directory.path()), None);
    }

    #[test]
    fn a_host_that_locks_only_the_file_is_respected() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join(FILE)).unwrap();
        file.lock().unwrap();
        assert_eq!(holder(directory.path()), Some("unknown".to_owned()));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), b"").unwrap();
        let result = DirectoryLock::acquire(&directory.path().join("file/below"));
        assert!(matches!(result, Err(LockError::Unusable(_))));
    }
}
