//! Linux: what `/proc` tells.

use std::io;

use crate::process::identity::handle;

/// Whether a number and a start make an identity. Ticks are too coarse: a number may come again within one.
pub(in crate::process::identity) const START_IS_CERTAIN: bool = false;

/// When the process that has this number started, in clock ticks since boot (`proc_pid_stat(5)`, field 22).
pub(in crate::process::identity) fn start_time(pid: i32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(handle::say_gone)?;
    start_in(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))
}

/// A program's name may hold spaces and parentheses, so fields count from the last `)`.
fn start_in(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// This boot of the machine.
pub(in crate::process::identity) fn boot() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The inodes of the process namespace and of its first process.
pub(in crate::process::identity) fn pid_namespace() -> io::Result<(u64, Option<u64>)> {
    let namespace = std::fs::read_link("/proc/self/ns/pid")?;
    let namespace = digits(&namespace.to_string_lossy()).ok_or(io::ErrorKind::InvalidData)?;
    let init = handle::of_number(1).and_then(|init| handle::inode(&init));
    // Where the first process cannot be asked, the namespace alone has to do.
    Ok((namespace, init.ok().flatten()))
}

/// The number in `pid:[4026531836]`.
fn digits(link: &str) -> Option<u64> {
    link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 332282 0 0";
        assert_eq!(start_in(&format!("7 (plain) {rest}")), Some(332_282));
        assert_eq!(start_in(&format!("7 (a) R 1 (x) 2) {rest}")), Some(332_282));
        assert_eq!(start_in("7 (cut off) S 1"), None);
    }

    #[test]
    fn a_namespace_is_the_number_in_its_link() {
        assert_eq!(digits("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(digits("pid:[]"), None);
    }
}
