//! The files to read: those on the command line, or this repository's own sources.

use std::error::Error;
use std::path::{Path, PathBuf};

const GRPC: &str = "--grpc";

/// Whether the workers shall be reached over gRPC.
pub(crate) fn over_grpc() -> bool {
    std::env::args_os().any(|argument| argument == GRPC)
}

/// The files that were asked for.
pub(crate) fn chosen() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let named: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|argument| argument != GRPC).map(PathBuf::from).collect();
    if !named.is_empty() {
        return named
            .into_iter()
            .map(|path| Ok(path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?))
            .collect();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the examples lie in a folder of the repository")?;
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "var", "__pycache__"].contains(&&*name) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}
