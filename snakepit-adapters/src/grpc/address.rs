//! Where a worker listens: a Unix socket in a directory of its own, or a port of this machine.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use snakepit_core::adapter::AdapterFailure;

/// The variable in which a worker finds where to listen: `unix:PATH`, or `127.0.0.1:0` for a port of its choice.
pub(crate) const ADDRESS: &str = "SNAKEPIT_GRPC_ADDRESS";

/// The longest name that a Unix socket can have, its final zero included (`unix(7)`).
const SOCKET_NAME_LIMIT: usize = 108;
/// Where the sockets of all workers are, below the data directory.
const FOLDER: &str = "grpc";
const SOCKET: &str = "s";
const UNIX: &str = "unix:";

/// What a worker is told about where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerAddress {
    Unix(PathBuf),
    /// The port is 0 until the worker has chosen one.
    Tcp(SocketAddr),
}

impl WorkerAddress {
    /// As it stands in the worker's environment, and in the line that it answers with.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Unix(path) => format!("{UNIX}{}", path.display()),
            Self::Tcp(address) => address.to_string(),
        }
    }

    /// Reads [`to_text`](Self::to_text). Only this machine can be named.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix(UNIX) {
            Some(path) => Some(Self::Unix(path.into())),
            None => {
                text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback()).map(Self::Tcp)
            }
        }
    }
}

/// A directory that only this user can enter, for one socket. Dropping it removes both.
#[derive(Debug)]
pub(crate) struct SocketDirectory(PathBuf);

impl SocketDirectory {
    /// Makes one below the data directory, under a name that nobody can guess.
    pub(crate) fn new(data_dir: &Path, name: &str) -> Result<Self, AdapterFailure> {
        let folder = data_dir.join(FOLDER);
        let directory = folder.join(name);
        let length = directory.join(SOCKET).as_os_str().len();
        if length >= SOCKET_NAME_LIMIT {
            let what = format!(
                "the name of a socket below {} would be {length} bytes, the system allows {}: take a shorter data \
                 directory, or GrpcAdapter::tcp",
                data_dir.display(),
                SOCKET_NAME_LIMIT - 1
            );
            return Err(AdapterFailure::Failed { what });
        }
        let private =
            |path: &Path, recursive| DirBuilder::new().recursive(recursive).mode(0o700).create(path);
        private(&folder, true).and_then(|()| private(&directory, false)).map_err(|error| {
            let what = format!("the socket directory {} cannot be made: {error}", directory.display());
            AdapterFailure::Failed { what }
        })?;
        Ok(Self(directory))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }

    /// Removes what earlier hosts of this data directory left when they were killed.
    pub(crate) fn sweep(data_dir: &Path) -> io::Result<()> {
        match fs::remove_dir_all(data_dir.join(FOLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Drop for SocketDirectory {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next host.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_address_comes_back_as_it_went_and_other_machines_have_none() {
        for address in [
            WorkerAddress::Unix("/data/grpc/x/s".into()),
            WorkerAddress::Tcp("127.0.0.1:5000".parse().unwrap()),
        ] {
            assert_eq!(WorkerAddress::from_text(&address.to_text()), Some(address));
        }
        for elsewhere in ["10.0.0.1:80", "0.0.0.0:80", "localhost:80", "127.0.0.1", ""] {
            assert_eq!(WorkerAddress::from_text(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_socket_has_a_directory_that_others_cannot_enter_and_that_goes_with_it() {
        let data_dir = tempfile::tempdir().unwrap();
        let directory = SocketDirectory::new(data_dir.path(), "0123").unwrap();
        let path = directory.socket().parent().unwrap().to_owned();
        for private in [path.as_path(), path.parent().unwrap()] {
            assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
        }
        fs::write(directory.socket(), "").unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_with_a_way_out() {
        let data_dir = tempfile::tempdir().unwrap();
        let error = SocketDirectory::new(&data_dir.path().join("x".repeat(100)), "0123").unwrap_err();
        assert!(error.to_string().contains("GrpcAdapter::tcp"), "{error}");
    }

    #[test]
    fn what_a_killed_host_left_is_swept() {
        let data_dir = tempfile::tempdir().unwrap();
        SocketDirectory::sweep(data_dir.path()).unwrap();
        std::mem::forget(SocketDirectory::new(data_dir.path(), "0123").unwrap());
        SocketDirectory::sweep(data_dir.path()).unwrap();
        assert!(!data_dir.path().join(FOLDER).exists());
    }
}
