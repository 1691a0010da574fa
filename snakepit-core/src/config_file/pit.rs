//! What a file says of the whole pit, beside its pools.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process::ContainmentLevel;
use crate::snakepit::SnakepitBuilder;

/// The keys at the top of a file. Each is a method of [`SnakepitBuilder`], which says what it is when it is not set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PitOptions {
    /// The directory of the registry of processes. Default: the first of the usual places that can be written; see
    /// `SnakepitBuilder::data_dir`.
    pub(super) data_dir: Option<PathBuf>,
    /// This pit's name among several that share a data directory; each has a folder in it. Default: none.
    pub(super) instance: Option<String>,
    /// The level of containment below which the start is refused: `in_process`, `group`, `tree` or `kernel`. Default:
    /// whatever the system makes possible is taken.
    pub(super) require_level: Option<ContainmentLevel>,
    /// The program that is run as each worker's shim. Default: the host's own.
    pub(super) shim_program: Option<PathBuf>,
    /// Whether the host's soft limit of open files is raised where the pools need more. Default `false`: a limit that is
    /// too low refuses the start.
    pub(super) raise_file_limit: bool,
}

impl PitOptions {
    /// The same, with relative paths counted from `folder`.
    pub(super) fn counting_from(mut self, folder: &Path) -> Self {
        for path in [&mut self.data_dir, &mut self.shim_program].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }

    /// The same, put to a builder.
    pub(super) fn apply(self, mut builder: SnakepitBuilder) -> SnakepitBuilder {
        let Self { data_dir, instance, require_level, shim_program, raise_file_limit } = self;
        if let Some(data_dir) = data_dir {
            builder = builder.data_dir(data_dir);
        }
        if let Some(instance) = instance {
            builder = builder.instance(instance);
        }
        if let Some(level) = require_level {
            builder = builder.require_level(level);
        }
        if let Some(program) = shim_program {
            builder = builder.shim_program(program);
        }
        if raise_file_limit { builder.raise_file_limit() } else { builder }
    }
}
