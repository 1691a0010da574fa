//! The layout of the repository, held: who depends on whom, what every file opens with, and paths that must exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "var", "__pycache__"].contains(&name.as_str()) {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
}

fn all(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root(), extension, &mut found);
    assert!(!found.is_empty());
    found
}

/// Our own crates among the dependencies of one of them, those for its tests included.
fn own_dependencies(package: &str) -> BTreeSet<String> {
    let manifest = read(Path::new(package).join("Cargo.toml"));
    let own =
        ["snakepit-supervisor", "snakepit-core", "snakepit-adapters", "snakepit-tests", "snakepit-examples"];
    let names = manifest.lines().filter_map(|line| line.split([' ', '.', '=']).next());
    names.filter(|name| own.contains(name)).map(str::to_owned).collect()
}

#[test]
fn dependencies_point_downwards() {
    let allowed: [(&str, &[&str]); 3] = [
        ("snakepit-supervisor", &[]),
        ("snakepit-core", &["snakepit-supervisor"]),
        ("snakepit-adapters", &["snakepit-core"]),
    ];
    for (package, allowed) in allowed {
        let found = own_dependencies(package);
        assert_eq!(found, allowed.iter().map(|&name| name.to_owned()).collect(), "{package}");
    }
    for package in ["tests", "examples"] {
        let found = own_dependencies(package);
        assert!(
            !found.contains("snakepit-tests") && !found.contains("snakepit-examples"),
            "{package}: {found:?}"
        );
    }
}

#[test]
fn every_file_says_which_room_it_is() {
    for path in all("rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with a `//!` line", path.display());
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

#[test]
fn no_room_is_a_drawer() {
    let drawers = ["utils", "util", "helpers", "common", "misc", "types", "imp", "internal", "prelude"];
    for path in all("rs").into_iter().chain(all("py")) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!drawers.contains(&stem.as_str()), "{}", path.display());
    }
}

#[test]
fn a_path_in_a_document_exists() {
    let folders = ["snakepit-", "proto/", "tests/", "examples/", "docs/", ".ci/"];
    for document in all("md").into_iter().filter(|path| !path.ends_with("CHANGELOG.md")) {
        let text = std::fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap().to_owned();
        for path in text.split('`').skip(1).step_by(2) {
            let is_path = folders.iter().any(|folder| path.starts_with(folder))
                && path.contains('/')
                && !path.contains([' ', '*', '{', '<', '\n', ':', ','])
                && !path.contains("..");
            assert!(
                !is_path || root().join(path).exists() || folder.join(path).exists(),
                "{} names {path}, which does not exist",
                document.display()
            );
        }
    }
}

#[test]
fn only_one_room_starts_processes_in_the_core() {
    let mut core = Vec::new();
    files(&root().join("snakepit-core/src"), "rs", &mut core);
    let starters: Vec<_> = core
        .into_iter()
        .filter(|path| std::fs::read_to_string(path).unwrap().contains("Command::new("))
        .collect();
    let room = root().join("snakepit-core/src/process");
    assert!(!starters.is_empty());
    assert!(
        starters.iter().all(|file| *file == room.join("spawn.rs") || file.starts_with(room.join("spawn"))),
        "{starters:?}"
    );
}
