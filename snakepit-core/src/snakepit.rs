//! The pit: everything that one embedding service runs, started downwards and stopped upwards.

mod builder;
mod data_dir;
mod handle;
mod health;
pub(crate) mod open_files;
pub(crate) mod pool_tree;
mod pools;
mod reports;
#[cfg(test)]
pub(crate) mod scenes;
mod shutdown;
mod signals;
mod tree;

pub use builder::SnakepitBuilder;
pub use handle::Snakepit;
pub use health::Health;
pub use shutdown::{PoolShutdown, ShutdownReport};
pub use tree::Tree;
