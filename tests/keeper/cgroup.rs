//! Control groups: a second opinion on what is left, and a limit of memory to run into. Both need privilege.

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

/// A limit of memory for a single process, of either version of control groups.
#[derive(Debug)]
pub struct MemoryLimit {
    folder: PathBuf,
}

impl MemoryLimit {
    /// Makes one, or says what is missing.
    ///
    /// # Errors
    /// What is missing.
    pub fn make(bytes: u64) -> Result<Self, String> {
        let (root, file) = match (mount("cgroup", "memory"), mount("cgroup2", "")) {
            (Some(version_1), _) => (version_1, "memory.limit_in_bytes"),
            (None, Some(version_2)) => (version_2, "memory.max"),
            (None, None) => return Err("no cgroup is mounted".to_owned()),
        };
        let folder = root.join(name());
        fs::create_dir(&folder).map_err(|error| format!("no cgroup can be made: {error}"))?;
        let limit = Self { folder };
        fs::write(limit.folder.join(file), bytes.to_string())
            .map_err(|error| format!("memory cannot be limited: {error}"))?;
        Ok(limit)
    }

    /// Puts a process under the limit.
    ///
    /// # Errors
    /// What writing says.
    pub fn hold(&self, pid: i32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for MemoryLimit {
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
