//! Which process: a number that the system uses again is no identity, so the start time and the boot go with it.

use std::io;

use serde::{Deserialize, Serialize};

/// A process, told apart from every other that has had or will have the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pid: i32,
    /// When it started, in clock ticks since boot (`proc_pid_stat(5)`, field 22).
    start_time: u64,
    /// Which boot of the machine (`/proc/sys/kernel/random/boot_id`).
    boot_id: String,
}

impl ProcessIdentity {
    /// Reads the identity of the process that has this number now.
    ///
    /// # Errors
    /// What reading `/proc` says, `NotFound` where there is no such process.
    pub(crate) fn read(pid: i32) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start_time = start_time(&stat)
            .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))?;
        Ok(Self { pid, start_time, boot_id: boot_id()? })
    }

    /// The number, for people to read; it identifies nothing by itself.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Which boot of the machine it belongs to.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

/// This boot of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Field 22 of `/proc/pid/stat`. A program's name may hold spaces and parentheses, so fields count from the last `)`.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 332282 0 0";
        assert_eq!(start_time(&format!("7 (plain) {rest}")), Some(332_282));
        assert_eq!(start_time(&format!("7 (a) R 1 (x) 2) {rest}")), Some(332_282));
        assert_eq!(start_time("7 (cut off) S 1"), None);
    }

    #[test]
    fn a_live_process_has_the_same_identity_twice() {
        let me = i32::try_from(std::process::id()).unwrap();
        let identity = ProcessIdentity::read(me).unwrap();
        assert_eq!(identity, ProcessIdentity::read(me).unwrap());
        assert_eq!(identity.pid(), me);
        assert_eq!(ProcessIdentity::read(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
