//! What a keeper is asked to keep.

use std::path::PathBuf;

/// The command line, read.
#[derive(Debug)]
pub(super) struct Order {
    /// Whose death ends everything.
    pub(super) parent: i32,
    /// The terminal that the program is to have in its foreground.
    pub(super) tty: Option<PathBuf>,
    /// The cgroup that the program is to start in.
    pub(super) cgroup: Option<PathBuf>,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

impl Order {
    pub(super) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let parent = args.next().and_then(|pid| pid.parse().ok()).ok_or("PARENT is no process id")?;
        let (mut tty, mut cgroup) = (None, None);
        loop {
            match args.next().as_deref() {
                Some("--tty") => tty = args.next().map(PathBuf::from),
                Some("--cgroup") => cgroup = args.next().map(PathBuf::from),
                Some("--") => break,
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        let program = args.next().ok_or("PROGRAM is missing")?.into();
        Ok(Self { parent, tty, cgroup, program, args: args.collect() })
    }
}
