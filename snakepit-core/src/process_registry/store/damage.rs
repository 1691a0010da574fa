//! What a registry file that cannot be opened deserves.

use std::io::ErrorKind;

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenFault {
    #[error("{0}")]
    Store(redb::Error),
    #[error("what is in it made the store panic")]
    Panicked,
    #[error("it was written by a later version, with schema {schema}")]
    LaterSchema { schema: u64 },
    #[error("it says nothing of who has written it")]
    NoOrigin,
}

impl<E: Into<redb::Error>> From<E> for OpenFault {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// What to do about it.
#[must_use = "a file that nobody puts aside is in the way of every start"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenVerdict {
    /// The file is of no use: it is put aside, and a new one made. What it recorded is found by its marks.
    PutAside,
    /// Another process has it open, which is no damage.
    InUse,
    /// The file may be in order; the system is not. It is left alone.
    Fail,
}

/// Judges a fault. A fault of the file costs the file, and one of the system the start: a file that was put aside because
/// the disk was full would take its records along.
pub(super) fn judge(fault: &OpenFault) -> OpenVerdict {
    match fault {
        OpenFault::Store(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
            OpenVerdict::InUse
        }
        OpenFault::Store(redb::Error::Io(error)) => judge_kind(error.kind(), error.raw_os_error()),
        OpenFault::Store(redb::Error::Unsupported | redb::Error::Backend(_)) => OpenVerdict::Fail,
        OpenFault::Store(_) | OpenFault::Panicked | OpenFault::LaterSchema { .. } | OpenFault::NoOrigin => {
            OpenVerdict::PutAside
        }
    }
}

fn judge_kind(kind: ErrorKind, code: Option<i32>) -> OpenVerdict {
    use nix::libc::{EMFILE, ENFILE, ENOLCK};
    match (kind, code) {
        (
            ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
            | ErrorKind::OutOfMemory
            | ErrorKind::Unsupported
            | ErrorKind::Interrupted,
            _,
        )
        | (_, Some(EMFILE | ENFILE | ENOLCK)) => OpenVerdict::Fail,
        _ => OpenVerdict::PutAside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_file_is_put_aside_for_its_own_faults_only() {
        let io = |code| OpenFault::Store(redb::Error::Io(io::Error::from_raw_os_error(code)));
        let table = [
            (OpenFault::Store(redb::Error::Corrupted(String::new())), OpenVerdict::PutAside),
            (OpenFault::Store(redb::Error::Io(ErrorKind::InvalidData.into())), OpenVerdict::PutAside),
            (OpenFault::Store(redb::Error::Io(ErrorKind::UnexpectedEof.into())), OpenVerdict::PutAside),
            (OpenFault::Store(redb::Error::UpgradeRequired(1)), OpenVerdict::PutAside),
            (OpenFault::Store(redb::Error::TableIsMultimap(String::new())), OpenVerdict::PutAside),
            (io(nix::libc::EIO), OpenVerdict::PutAside),
            (io(nix::libc::EISDIR), OpenVerdict::PutAside),
            (OpenFault::Panicked, OpenVerdict::PutAside),
            (OpenFault::LaterSchema { schema: 9 }, OpenVerdict::PutAside),
            (OpenFault::NoOrigin, OpenVerdict::PutAside),
            (OpenFault::Store(redb::Error::DatabaseAlreadyOpen), OpenVerdict::InUse),
            (OpenFault::Store(redb::Error::LockProtocolMismatch), OpenVerdict::InUse),
            (io(nix::libc::ENOSPC), OpenVerdict::Fail),
            (io(nix::libc::EDQUOT), OpenVerdict::Fail),
            (io(nix::libc::EACCES), OpenVerdict::Fail),
            (io(nix::libc::EROFS), OpenVerdict::Fail),
            (io(nix::libc::EMFILE), OpenVerdict::Fail),
            (io(nix::libc::ENOENT), OpenVerdict::Fail),
        ];
        for (fault, verdict) in table {
            assert_eq!(judge(&fault), verdict, "{fault:?}");
        }
    }
}
