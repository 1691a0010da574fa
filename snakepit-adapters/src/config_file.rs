//! Configuration from TOML files and the environment, with the adapters of this crate.

use std::path::{Path, PathBuf};

use snakepit_core::{ConfigError, ConfigFile, Snakepit, SnakepitBuilder};

use crate::port::PortOptions;

/// A [`ConfigFile`] whose pools can name the adapters of this crate; more can be added to it.
pub fn config_file(path: impl Into<PathBuf>) -> ConfigFile {
    let file = ConfigFile::new(path);
    #[cfg(feature = "grpc")]
    let file = file.adapter("grpc", |options: PortOptions, folder: &Path| options.grpc_adapter(folder));
    file.adapter("port", |options: PortOptions, folder: &Path| options.adapter(folder))
}

/// Lets [`Snakepit`] be put together from a file.
///
/// ```no_run
/// use snakepit_adapters::{FromToml, Snakepit};
///
/// # async fn start() -> Result<(), snakepit_adapters::StartError> {
/// let pit = Snakepit::from_toml("snakepit.toml")?.start().await?;
/// # drop(pit); Ok(())
/// # }
/// ```
pub trait FromToml: Sized {
    /// Reads a file, what `SNAKEPIT_ENV` lays over it, and what variables such as `SNAKEPIT__POOLS__DEFAULT__SIZE=8` lay
    /// over both, as [`ConfigFile`] says. Everything is checked; nothing has started.
    ///
    /// # Errors
    /// As [`ConfigFile::load`].
    fn from_toml(path: impl Into<PathBuf>) -> Result<SnakepitBuilder, ConfigError>;
}

impl FromToml for Snakepit {
    fn from_toml(path: impl Into<PathBuf>) -> Result<SnakepitBuilder, ConfigError> {
        config_file(path).load()
    }
}
