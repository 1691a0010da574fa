//! A configuration file with what is laid over it, read into a builder.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::de::DeserializeOwned;

use crate::adapter::Adapter;
use crate::config::PoolOptions;
use crate::config_file::fields::{self, Field};
use crate::config_file::kinds::{Kind, Kinds};
use crate::config_file::node::Node;
use crate::config_file::pit::PitOptions;
use crate::config_file::said::{ADAPTER, POOLS, Said, Understanding};
use crate::config_file::text::parse_file;
use crate::config_file::variables::Variables;
use crate::error::ConfigError;
use crate::id::InvalidName;
use crate::snakepit::{Snakepit, SnakepitBuilder};

/// A configuration file, and what is laid over it.
///
/// 1. The file itself.
/// 2. Where `SNAKEPIT_ENV` names an environment, the file beside it that has the environment in its name:
///    `snakepit.production.toml` beside `snakepit.toml`. One that is missing is an error: an environment that is misspelt
///    must not run as another. Tables are joined key by key, anything else is replaced.
/// 3. Variables: `SNAKEPIT__POOLS__DEFAULT__SIZE=8` sets `size` of the pool `default`. Upper and lower case mean the same,
///    for pools too, and `_` stands for the `-` of a pool's name; keys of a table of the worker's own, such as `env`, are
///    taken as they are written. A value has the type of its option; lists and tables are written as in TOML. Variables
///    change the pools that files have, and add none.
///
/// A key that means nothing is an error that says where it stands and which known key is nearest.
///
/// ```
/// # use snakepit_core::{ConfigFile, adapter::Adapter};
/// # #[derive(serde::Deserialize)] struct QueueOptions { url: String }
/// # fn load<Q: Adapter>(queue: fn(String) -> Q) -> Result<(), snakepit_core::ConfigError> {
/// // With `adapter = "queue"` and `url = ".."` in a pool's table:
/// let builder = ConfigFile::new("snakepit.toml")
///     .adapter("queue", move |options: QueueOptions, _folder| Ok::<_, String>(queue(options.url)))
///     .load()?;
/// # drop(builder); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    kinds: Kinds,
    /// `None`: those of this process.
    variables: Option<Variables>,
}

impl ConfigFile {
    /// A file that can name no adapter yet. `snakepit_adapters::config_file` makes one that knows the adapters there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), kinds: Kinds::default(), variables: None }
    }

    /// Lets pools say `adapter = "name"`. `make` is given the adapter's options and the folder of the file, from which
    /// relative paths should count.
    ///
    /// `O` is a struct: its fields are keys of the pool's table, beside the options that every pool has, whose names they
    /// must not have. Of any other type that is read from a table it gets all keys that no pool has. What `make` says
    /// against the options is a mistake of the file, told as any other when it is read.
    pub fn adapter<O, A, E>(
        mut self,
        name: impl Into<String>,
        make: impl Fn(O, &Path) -> Result<A, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: DeserializeOwned,
        A: Adapter,
        E: fmt::Display,
    {
        self.kinds.insert(name.into(), Kind::new(make));
        self
    }

    /// Reads these variables instead of the environment of this process, `SNAKEPIT_ENV` included. With none, the file
    /// stands for itself.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        self.variables =
            Some(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// Every key that the file may hold, such as `pools.NAME.heartbeat.interval`; the adapters' own last.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let pit = fields::of::<PitOptions>().unwrap_or_default();
        let pool = fields::of::<PoolOptions>().unwrap_or_default();
        list("", &pit, &mut keys);
        keys.push(format!("{POOLS}.NAME.{ADAPTER}"));
        list(&format!("{POOLS}.NAME."), &pool, &mut keys);
        let mut own = Vec::new();
        for kind in self.kinds.all() {
            list(&format!("{POOLS}.NAME."), kind.fields.as_deref().unwrap_or_default(), &mut own);
        }
        // Adapters may share options: those that run a program do.
        let mut seen = BTreeSet::new();
        keys.extend(own.into_iter().filter(|key| seen.insert(key.clone())));
        keys
    }

    /// Reads everything and checks it. Nothing has started by then; the builder may be told more. Reads files, which
    /// blocks for as long as the disk takes.
    ///
    /// # Errors
    /// A [`ConfigError`] for the first mistake, with the place where it stands.
    pub fn load(self) -> Result<SnakepitBuilder, ConfigError> {
        let Said { pit, pools } = self.read()?;
        Ok(pools.into_iter().fold(pit.apply(Snakepit::builder()), SnakepitBuilder::pool))
    }

    /// What is said, all layers together.
    pub(super) fn read(self) -> Result<Said, ConfigError> {
        let Self { path, kinds, variables } = self;
        let variables = variables.unwrap_or_else(Variables::of_process);
        let unreadable =
            |error: io::Error| ConfigError::File { path: path.clone(), message: error.to_string() };
        let mut root = parse_file(&fs::read_to_string(&path).map_err(unreadable)?, &path)?;
        if let Some(environment) = variables.environment()? {
            root.overlay(read_environment(&path, environment)?);
        }
        variables.overlay(&mut root)?;
        let file = std::path::absolute(&path).map_err(unreadable)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        Understanding { kinds: &kinds, folder: &folder }.of(root)
    }
}

/// The file of an environment, which lies beside the first and has its name.
fn read_environment(beside: &Path, environment: String) -> Result<Node, ConfigError> {
    // It becomes part of a file's name.
    InvalidName::check("environment of SNAKEPIT_ENV", &environment)?;
    let mut name = beside.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(&environment);
    if let Some(extension) = beside.extension() {
        name.push(".");
        name.push(extension);
    }
    let path = beside.with_file_name(name);
    match fs::read_to_string(&path) {
        Ok(text) => parse_file(&text, &path),
        Err(error) => Err(ConfigError::Environment { environment, path, message: error.to_string() }),
    }
}

/// The keys of fields and of those below, the ends alone: a table is said by what is in it.
fn list(above: &str, fields: &[Field], keys: &mut Vec<String>) {
    for Field { name, fields } in fields {
        if fields.is_empty() {
            keys.push(format!("{above}{name}"));
        } else {
            list(&format!("{above}{name}."), fields, keys);
        }
    }
}
