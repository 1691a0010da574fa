//! Linux: a tree is walked from its root down by the children that `/proc` lists for each thread.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::process::usage::{Root, TreeUsage};

/// How many files one look reads at most: some tenths of a second, and far more than any tree but a fork bomb has.
const LOOKS: usize = 20_000;
/// How much of one of them. The longest is a list of children, and its length is that of the limit above.
const FILE_LIMIT: u64 = 256 * 1024;

/// What a tree uses. `None`: nobody of it is there, or it is too large, or it cannot be looked at.
pub(super) fn of_tree(root: Root) -> Option<TreeUsage> {
    Walk::default().sum(root).ok().flatten()
}

/// One look at a tree.
#[derive(Default)]
struct Walk {
    /// Found and not visited: each with the parent that it was found under.
    found: Vec<(i32, i32)>,
    looks: usize,
    text: String,
}

/// A process by its folder in `/proc`, in which nothing is to be seen once the process is gone, whoever has its number.
struct Folder(OwnedFd);

/// What `/proc/pid/stat` tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    /// Ticks that it has used itself, and those of its children that have ended and were waited for.
    own: u64,
    of_reaped: u64,
    /// Pages.
    resident: u64,
}

impl Walk {
    fn sum(&mut self, root: Root) -> io::Result<Option<TreeUsage>> {
        let (mut ticks, mut pages, mut members) = (0, 0, 0);
        let top = match root {
            Root::Shim(pid) | Root::Worker(pid) => pid,
        };
        if let Some((stat, folder)) = self.visit(top)? {
            // Whoever loses its parent becomes the shim's child, so this is the tree's.
            ticks += stat.of_reaped;
            if root == Root::Worker(top) {
                (ticks, pages, members) = (ticks + stat.own, pages + stat.resident, members + 1);
            }
            self.find_children(&folder, top)?;
        }
        while let Some((pid, parent)) = self.found.pop() {
            let Some((stat, folder)) = self.visit(pid)? else { continue };
            // Another may have the number by now.
            if stat.parent == parent || stat.parent == top {
                (ticks, pages, members) =
                    (ticks + stat.own + stat.of_reaped, pages + stat.resident, members + 1);
                self.find_children(&folder, pid)?;
            }
        }
        let rss_bytes = pages * rustix::param::page_size() as u64;
        let cpu_time = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
        Ok((members > 0).then_some(TreeUsage { rss_bytes, cpu_time }))
    }

    /// Opens a process and reads its figures; `None`: it is gone.
    fn visit(&mut self, pid: i32) -> io::Result<Option<(Stat, Folder)>> {
        let opened = openat(CWD, format!("/proc/{pid}"), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Some(folder) = unless_gone(opened)?.map(Folder) else { return Ok(None) };
        let read = self.read(&folder, "stat")?;
        Ok(if read { stat_in(&self.text).map(|stat| (stat, folder)) } else { None })
    }

    /// Adds the children of every thread of a process.
    fn find_children(&mut self, folder: &Folder, pid: i32) -> io::Result<()> {
        let opened = openat(&folder.0, "task", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Some(threads) = unless_gone(opened)? else { return Ok(()) };
        for thread in Dir::new(threads)? {
            let Some(thread) = unless_gone(thread)? else { return Ok(()) };
            let Some(thread) = thread.file_name().to_str().ok().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            if self.read(folder, &format!("task/{thread}/children"))? {
                let children = self.text.split_ascii_whitespace().filter_map(|child| child.parse().ok());
                self.found.extend(children.map(|child| (child, pid)));
            }
        }
        Ok(())
    }

    /// Reads a file of a process; `false`: the process is gone.
    fn read(&mut self, folder: &Folder, name: &str) -> io::Result<bool> {
        self.looks += 1;
        if self.looks > LOOKS || self.found.len() > LOOKS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let opened = openat(folder.0.as_fd(), name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let Some(file) = unless_gone(opened)? else { return Ok(false) };
        self.text.clear();
        match File::from(file).take(FILE_LIMIT).read_to_string(&mut self.text) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn unless_gone<T>(opened: Result<T, Errno>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `proc_pid_stat(5)`: fields 4, 14 to 17 and 24. The name before them may hold anything, so they count from the last `)`.
fn stat_in(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().take(22).collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(14)? + number(15)?,
        of_reaped: number(16)? + number(17)?,
        resident: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_behind_any_name() {
        let rest = "S 12 7 7 0 -1 0 0 0 0 0 31 32 40 50 20 0 1 0 332282 999 77 0";
        let figures = Some(Stat { parent: 12, own: 63, of_reaped: 90, resident: 77 });
        assert_eq!(stat_in(&format!("7 (plain) {rest}")), figures);
        assert_eq!(stat_in(&format!("7 (a) R 1 (x) 2) {rest}")), figures);
        assert_eq!(stat_in("7 (cut off) S 1 2 3"), None);
    }

    #[test]
    fn a_tree_is_what_is_below_its_root() {
        let own = std::process::id().cast_signed();
        let usage = of_tree(Root::Worker(own)).unwrap();
        assert!(usage.rss_bytes > 1024 * 1024, "{usage:?}");
        assert_eq!(of_tree(Root::Worker(i32::MAX)), None);
        assert_eq!(of_tree(Root::Shim(i32::MAX)), None);
    }

    #[test]
    fn a_tree_that_is_too_large_is_not_known() {
        let mut walk = Walk { looks: LOOKS, ..Walk::default() };
        let refused = walk.sum(Root::Worker(std::process::id().cast_signed())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    }
}
