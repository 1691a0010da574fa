//! The examples stand in files of their own beside this one; each is run with `cargo run --example NAME`.
