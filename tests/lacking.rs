//! What a test may lack where it runs, and how it says so.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says that a test, or a part of it, could not be done here. Written past the test runner, which would keep it to itself.
pub fn skipped(test: &str, missing: &str) {
    // Nobody to tell it is no failure of the test's.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {missing}");
}

/// The interpreter of the virtual environment in which `.ci/run` has installed the Python SDK with its extras, if it is
/// there.
pub fn python_with_extras() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python3");
    python.exists().then_some(python)
}
