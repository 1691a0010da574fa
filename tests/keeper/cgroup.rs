//! Control groups: a second opinion on what is left, and limits to run into. Both need privilege.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static MADE: AtomicU32 = AtomicU32::new(0);

/// A control group of version 2 that a host starts in. Whatever the host forks is in it, wherever it goes.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Makes one, or says what is missing.
    ///
    /// # Errors
    /// What is missing.
    pub fn make() -> Result<Self, String> {
        let root = mount("cgroup2", "").ok_or("no cgroup v2 is mounted")?;
        let folder = root.join(name());
        fs::create_dir(&folder).map_err(|error| format!("no cgroup can be made: {error}"))?;
        Ok(Self { folder })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The processes in it.
    ///
    /// # Errors
    /// What reading says.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let text = fs::read_to_string(self.folder.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|pid| pid.parse().ok()).collect())
    }

    /// Puts this process into the group.
    pub(super) fn enter(folder: &Path) -> io::Result<()> {
        fs::write(folder.join("cgroup.procs"), "0")
    }

    /// Puts this process into the group above.
    pub(super) fn leave(folder: &Path) -> io::Result<()> {
        fs::write(folder.join("../cgroup.procs"), "0")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // One that is not empty stays, for a person to look into; the test has failed then.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A limit that a single process and what it starts from then on run into, of either version of control groups.
#[derive(Debug)]
pub struct Limit {
    folder: PathBuf,
}

impl Limit {
    /// A limit of memory, or what is missing for one.
    ///
    /// # Errors
    /// What is missing.
    pub fn memory(bytes: u64) -> Result<Self, String> {
        Self::make("memory", &[("memory.limit_in_bytes", bytes), ("memory.max", bytes)])
    }

    /// A limit of tasks, threads among them, or what is missing for one.
    ///
    /// # Errors
    /// What is missing.
    pub fn tasks(count: u64) -> Result<Self, String> {
        Self::make("pids", &[("pids.max", count)])
    }

    /// Writes the first of the files that is there.
    fn make(controller: &str, files: &[(&str, u64)]) -> Result<Self, String> {
        let root = mount("cgroup", controller).or_else(|| mount("cgroup2", ""));
        let limit = Self { folder: root.ok_or("no cgroup is mounted")?.join(name()) };
        fs::create_dir(&limit.folder).map_err(|error| format!("no cgroup can be made: {error}"))?;
        let found = files.iter().find(|(file, _)| limit.folder.join(file).exists());
        let (file, value) = found.ok_or(format!("the cgroup has no controller {controller}"))?;
        fs::write(limit.folder.join(file), value.to_string())
            .map_err(|error| format!("{file} cannot be set: {error}"))?;
        Ok(limit)
    }

    /// Puts a process under the limit.
    ///
    /// # Errors
    /// What writing says.
    pub fn hold(&self, pid: i32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// Puts a process back into the group above, and so out of the limit.
    ///
    /// # Errors
    /// What writing says.
    pub fn release(&self, pid: i32) -> io::Result<()> {
        fs::write(self.folder.join("../cgroup.procs"), pid.to_string())
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

fn name() -> String {
    format!("snakepit-tests-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Where a hierarchy of this kind, with this controller, is mounted.
fn mount(kind: &str, controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        let [_, folder, fs_kind, options, ..] = fields[..] else { return None };
        let has = controller.is_empty() || options.split(',').any(|option| option == controller);
        (fs_kind == kind && has).then(|| PathBuf::from(folder))
    })
}
