//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

use crate::id::{InvalidName, PoolName};

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A name has a form that is not allowed.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Two pools have the same name.
    #[error("two pools are named {pool}")]
    DuplicatePool {
        /// The name.
        pool: PoolName,
    },
    /// No pool was given.
    #[error("a pit needs at least one pool")]
    NoPool,
    /// An option has a value that cannot work, by itself or beside another.
    #[error("{}pool {pool}: {option} {rule}", at(place.as_ref()))]
    Option {
        /// Which pool.
        pool: PoolName,
        /// Which option.
        option: &'static str,
        /// What it must be.
        rule: String,
        /// Where its value stands; `None` for a default, or one that the program set itself.
        place: Option<ConfigPlace>,
    },
    /// A file cannot be read.
    #[error("{}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// `SNAKEPIT_ENV` names an environment that has no file.
    #[error("SNAKEPIT_ENV is {environment}, and its file {} cannot be read: {message}", path.display())]
    Environment {
        /// The environment.
        environment: String,
        /// Where its file should be.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// What stands there is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: ConfigPlace,
        /// What was expected.
        message: String,
    },
    /// A key that means nothing.
    #[error("{place}: {}unknown key {key}{}", of(pool.as_ref()), hint(nearest.as_deref()))]
    UnknownKey {
        /// Where it stands.
        place: ConfigPlace,
        /// The pool in whose table it stands.
        pool: Option<PoolName>,
        /// The key, with the tables below the pool's that it stands in: `heartbeat.miss`.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// A key whose value cannot be read, or that is missing.
    #[error("{place}: {}{key}: {message}", of(pool.as_ref()))]
    Value {
        /// Where it stands, or should.
        place: ConfigPlace,
        /// The pool in whose table it stands.
        pool: Option<PoolName>,
        /// The key, with the tables that it stands in.
        key: String,
        /// What was expected.
        message: String,
    },
}

impl ConfigError {
    /// A stable word for programs, such as `duplicate_pool`. No configuration becomes right by trying it again.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "invalid_name",
            Self::DuplicatePool { .. } => "duplicate_pool",
            Self::NoPool => "no_pool",
            Self::Option { .. } => "invalid_option",
            Self::File { .. } => "file",
            Self::Environment { .. } => "environment",
            Self::Syntax { .. } => "syntax",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Value { .. } => "invalid_value",
        }
    }
}

/// Where something of a configuration stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigPlace {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// In a variable of the environment.
    Variable {
        /// Which.
        name: String,
    },
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable { name } => f.write_str(name),
        }
    }
}

fn at(place: Option<&ConfigPlace>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

fn of(pool: Option<&PoolName>) -> String {
    pool.map(|pool| format!("pool {pool}: ")).unwrap_or_default()
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}
