//! The test bed: the program for all roles, the directories, and which second opinion there is.

use std::io;
use std::path::{Path, PathBuf};

use snakepit_tests::keeper::{Cgroup, Keeping, Kept};
use tempfile::TempDir;

/// What every round needs.
#[derive(Debug)]
pub(crate) struct Bed {
    roles: PathBuf,
    /// Why there is no second opinion, where there is none.
    no_cgroup: Option<String>,
}

impl Bed {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { roles: std::env::current_exe()?, no_cgroup: Cgroup::make().err() })
    }

    pub(crate) fn roles(&self) -> &Path {
        &self.roles
    }

    /// What says that nothing is left.
    pub(crate) fn oracle(&self) -> String {
        let second = self.no_cgroup.as_ref().map_or_else(
            || "and the host's own cgroup v2 has to be empty".to_owned(),
            |missing| format!("without a second opinion: {missing}"),
        );
        format!("a subreaper above the host waits until it has no child, {second}")
    }

    pub(crate) fn keeping(&self) -> Keeping {
        Keeping::by(&self.roles).cgroup(Cgroup::make().ok()).env("RUST_BACKTRACE", "0")
    }

    /// Starts a host with worst workers: its own flags, and those of its workers.
    pub(crate) fn host(&self, data_dir: &Path, flags: &[&str], misdeeds: &[&str]) -> io::Result<Kept> {
        let mut args: Vec<&str> = vec!["host", "--level", "tree"];
        args.extend(flags);
        let data_dir =
            data_dir.to_str().ok_or_else(|| io::Error::other("the directory has no plain name"))?;
        let roles = self.roles.to_str().ok_or_else(|| io::Error::other("the program has no plain name"))?;
        args.extend([data_dir, "chaos", roles, "worst-worker"]);
        args.extend(misdeeds);
        self.keeping().run(&self.roles, args)
    }
}

/// A directory of a round's own.
pub(crate) fn directory() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("snakepit-chaos-").tempdir()
}
