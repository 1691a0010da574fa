//! Which process: a number that the system uses again is no identity, so what it never uses again goes with it.

use std::io;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

mod facts;
pub(crate) mod handle;
mod scope;

use handle::Handle;
pub(crate) use scope::Scope;

/// A process, told apart from every other that has had or will have the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pid: i32,
    /// When it started; on Linux in clock ticks since boot, so that two processes that have the same number one after the
    /// other often have the same start, too.
    start_time: u64,
    /// Which boot of the machine.
    boot_id: String,
    /// The inode of its handle, which is not given out twice in a boot; `None` where the kernel has none (before 6.9).
    #[serde(default)]
    inode: Option<u64>,
}

impl ProcessIdentity {
    /// Reads the identity of the process that has this number now.
    ///
    /// # Errors
    /// What the system says, `NotFound` where there is no such process.
    pub(crate) fn read(pid: i32) -> io::Result<Self> {
        Self::of(&handle::of_number(pid)?, pid)
    }

    /// Reads the identity of the process that a handle stands for, and that has this number.
    ///
    /// # Errors
    /// What the system says, `NotFound` where it is gone or has another number.
    pub(crate) fn of(pidfd: &Handle, pid: i32) -> io::Result<Self> {
        let inode = handle::inode(pidfd)?;
        let start_time = facts::start_time(pid)?;
        // What was read of the number is this process's, for it has the number still.
        if handle::number(pidfd)? != Some(pid) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { pid, start_time, boot_id: boot_id()?.to_owned(), inode })
    }

    /// Opens a handle of exactly this process: opened first, compared after. `None` when it is gone, or when its number
    /// belongs to another by now.
    ///
    /// The process may have ended and wait to be reaped. One that is gone may still be opened where its group has
    /// members, which a signal to the group reaches. Where [`is_certain`](Self::is_certain) says no, a process with the
    /// same number and the same start passes for it.
    ///
    /// # Errors
    /// What the system says: it is not known whether the process is gone.
    pub(crate) fn open(&self) -> io::Result<Option<Handle>> {
        if self.boot_id != boot_id()? {
            return Ok(None);
        }
        if let Some(inode) = self.inode {
            match handle::of_inode(inode) {
                Ok(None) => return Ok(None),
                Ok(Some(pidfd)) => return Ok(self.is_that_of(&pidfd, true)?.then_some(pidfd)),
                // This kernel opens no process by its inode; it is compared below.
                Err(_) => {}
            }
        }
        match handle::of_number(self.pid) {
            Ok(pidfd) => Ok(self.is_that_of(&pidfd, false)?.then_some(pidfd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this is the identity of the process that a handle stands for, or `gone` when that is gone.
    fn is_that_of(&self, pidfd: &Handle, gone: bool) -> io::Result<bool> {
        match Self::of(pidfd, self.pid) {
            Ok(found) => Ok(found == *self),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(gone && !handle::is_listed(pidfd)),
            Err(error) => Err(error),
        }
    }

    /// Whether the process runs; one that waits to be reaped does not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn runs(&self) -> io::Result<bool> {
        Ok(self.open()?.is_some_and(|pidfd| !handle::has_ended(&pidfd)))
    }

    /// Whether the identity can belong to no other process. If not, only a marker in the process's environment tells.
    pub(crate) fn is_certain(&self) -> bool {
        self.inode.is_some() || facts::START_IS_CERTAIN
    }

    /// The number, for people to read; it identifies nothing by itself.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What tells the process from others with its number, as short as it goes.
    pub(crate) fn token(&self) -> u64 {
        self.inode.unwrap_or(self.start_time)
    }
}

/// This boot of the machine. Read once: it cannot change while a process lives.
pub(crate) fn boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot);
    }
    let boot = facts::boot()?;
    Ok(BOOT.get_or_init(|| boot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn a_live_process_has_the_same_identity_twice() {
        let identity = ProcessIdentity::read(own_pid()).unwrap();
        assert_eq!(identity, ProcessIdentity::read(own_pid()).unwrap());
        assert_eq!(identity.pid(), own_pid());
        assert_eq!(ProcessIdentity::read(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(ProcessIdentity::read(-1).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(identity.runs().unwrap());
    }

    #[test]
    fn only_the_very_process_is_opened() {
        let own = ProcessIdentity::read(own_pid()).unwrap();
        let parent = ProcessIdentity::read(std::os::unix::process::parent_id().cast_signed()).unwrap();
        let table = [
            ("itself", own.clone(), true),
            ("another start", ProcessIdentity { start_time: own.start_time + 1, ..own.clone() }, false),
            ("another inode", ProcessIdentity { inode: Some(u64::MAX), ..own.clone() }, false),
            ("another's inode", ProcessIdentity { inode: parent.inode, ..own.clone() }, !own.is_certain()),
            ("another number", ProcessIdentity { pid: parent.pid, ..own.clone() }, false),
            ("another boot", ProcessIdentity { boot_id: "earlier".to_owned(), ..own.clone() }, false),
        ];
        for (case, identity, opened) in table {
            assert_eq!(identity.open().unwrap().is_some(), opened, "{case}");
        }
    }

    #[test]
    fn a_record_of_before_there_were_inodes_can_be_read() {
        let text = r#"{"pid": 7, "start_time": 100, "boot_id": "b"}"#;
        let identity: ProcessIdentity = serde_json::from_str(text).unwrap();
        assert_eq!((identity.is_certain(), identity.token()), (false, 100));
    }
}
