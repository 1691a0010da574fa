//! Where process numbers and inodes mean what they meant: one boot, one process namespace, one life of that.

use std::io;

use serde::{Deserialize, Serialize};

use crate::process::identity::{boot_id, facts};

/// What must be the same for an identity that was written down to mean anything now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    boot_id: String,
    /// The inode of the process namespace. The number may come again: a later container of the same boot may have it.
    pid_namespace: u64,
    /// The inode of the namespace's first process, which tells such containers apart; `None` where there are none.
    init: Option<u64>,
}

impl Scope {
    /// This process's own.
    pub(crate) fn read() -> io::Result<Self> {
        let (pid_namespace, init) = facts::pid_namespace()?;
        Ok(Self { boot_id: boot_id()?.to_owned(), pid_namespace, init })
    }

    /// The first letters of the boot's id, for a file's name.
    pub(crate) fn boot(&self) -> &str {
        self.boot_id.get(..8).unwrap_or(&self.boot_id)
    }

    /// The number of the process namespace, for a file's name.
    pub(crate) fn pid_namespace(&self) -> u64 {
        self.pid_namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_same_twice_and_survives_being_written_down() {
        let scope = Scope::read().unwrap();
        let text = serde_json::to_string(&scope).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), Scope::read().unwrap());
        assert_eq!(scope.boot().len(), 8);
    }
}
