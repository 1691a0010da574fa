//! A pool to start: its name, its adapter, its options.

use std::fmt;
use std::sync::Arc;

use crate::adapter::Adapter;
use crate::config::PoolOptions;
use crate::error::ConfigError;
use crate::id::PoolName;

/// A pool to start: its name, its adapter, its options.
#[derive(Clone)]
pub struct PoolConfig {
    name: String,
    adapter: Arc<dyn Adapter>,
    options: PoolOptions,
}

impl PoolConfig {
    /// A pool with default options. The name is checked when the pit starts.
    pub fn new(name: impl Into<String>, adapter: impl Adapter) -> Self {
        Self { name: name.into(), adapter: Arc::new(adapter), options: PoolOptions::default() }
    }

    /// A pool as a file says it.
    #[cfg(feature = "toml")]
    pub(crate) fn of(name: &str, adapter: Arc<dyn Adapter>, options: PoolOptions) -> Self {
        Self { name: name.to_owned(), adapter, options }
    }

    /// How many workers.
    pub fn size(mut self, size: u16) -> Self {
        self.options.size = size;
        self
    }

    /// Sets all options at once.
    pub fn options(mut self, options: PoolOptions) -> Self {
        self.options = options;
        self
    }

    /// Changes some options.
    ///
    /// ```
    /// # use snakepit_core::PoolConfig;
    /// # fn configure(config: PoolConfig) -> PoolConfig {
    /// config.with(|options| options.queue_limit = 10)
    /// # }
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut PoolOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Checks name and options; says what is wrong with the first that cannot work.
    pub(crate) fn check(self) -> Result<CheckedPoolConfig, ConfigError> {
        let name = PoolName::new(&self.name)?;
        self.options.check().map_err(|(option, rule)| ConfigError::Option {
            pool: name.clone(),
            option,
            rule,
            place: None,
        })?;
        Ok(CheckedPoolConfig { name, adapter: self.adapter, options: self.options })
    }
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConfig")
            .field("name", &self.name)
            .field("adapter", &self.adapter.name())
            .field("options", &self.options)
            .finish()
    }
}

/// A configuration that has been checked.
#[derive(Clone)]
pub(crate) struct CheckedPoolConfig {
    pub(crate) name: PoolName,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) options: PoolOptions,
}
