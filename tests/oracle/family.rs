//! Who descends from whom, and what each of them is.

use std::collections::BTreeMap;
use std::fmt;

/// A process as the system shows it.
#[derive(Clone, Debug)]
pub struct Relative {
    /// Its number.
    pub pid: i32,
    /// Whose child it is now.
    pub parent: i32,
    /// `R`, `S`, `D`, `T`, `Z` and so on, as `proc_pid_stat(5)` has them.
    pub state: char,
    /// Its command line, or its name in parentheses where it has none any more.
    pub command: String,
}

impl fmt::Display for Relative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} (state {}, child of {}): {}", self.pid, self.state, self.parent, self.command)
    }
}

/// Everything below a process, parents before children, those that have ended and are not reaped included.
///
/// # Panics
/// Where `/proc` cannot be read.
pub fn descendants(root: i32) -> Vec<Relative> {
    let mut by_parent: BTreeMap<i32, Vec<Relative>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").expect("/proc can be read");
    for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(process) = look(pid) {
            by_parent.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = by_parent.remove(&root).unwrap_or_default();
    let mut next = 0;
    while next < found.len() {
        found.extend(by_parent.remove(&found[next].pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The children of a process that run.
pub fn children(of: i32) -> Vec<Relative> {
    descendants(of).into_iter().filter(|child| child.parent == of && child.state != 'Z').collect()
}

/// One process, if it is there.
pub fn look(pid: i32) -> Option<Relative> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let command = match words.join(" ").trim_end() {
        "" => format!("({})", name.split_once('(').map_or("?", |(_, name)| name)),
        command => command.to_owned(),
    };
    Some(Relative { pid, parent, state, command })
}
