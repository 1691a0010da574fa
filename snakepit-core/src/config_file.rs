//! Configuration from TOML files and the environment: read, laid over each other, checked, made into a builder.

mod fields;
mod kinds;
mod loader;
mod nearest;
mod node;
mod pit;
mod problem;
mod reader;
mod said;
#[cfg(test)]
mod tests;
mod text;
mod variables;
mod wording;

pub use loader::ConfigFile;
