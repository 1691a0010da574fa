//! A crate outside the workspace, made of what the README says, as an embedder would begin.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The first block of the README in this language that contains `needle`.
fn block(readme: &str, language: &str, needle: &str) -> String {
    let fence = format!("```{language}\n");
    let blocks = readme.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .filter(|block| block.contains(needle))
        .map(str::to_owned)
        .next()
        .expect("the README has such a block")
}

fn run(command: &mut Command) -> Output {
    #[expect(clippy::disallowed_methods, reason = "cargo and the embedder's program, awaited at once")]
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    child.unwrap().wait_with_output().unwrap()
}

#[test]
fn the_readme_builds_and_runs_outside_the_workspace() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dependencies = block(&readme, "toml", "[dependencies]")
        .replace("\"0.1\"", &format!("{{ path = {:?} }}", root().join("snakepit-adapters")));
    assert!(dependencies.contains("path ="), "the README depends on snakepit-adapters \"0.1\"");
    let manifest = format!(
        "[package]\nname = \"embedder\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n{dependencies}"
    );
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    // The versions that the workspace has been tested with, which are all at hand.
    std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/main.rs"), block(&readme, "rust", "fn main")).unwrap();
    std::fs::write(folder.path().join("worker.py"), block(&readme, "python", "worker.run()")).unwrap();
    let build = run(Command::new(env!("CARGO"))
        .args(["build", "--offline"])
        .env("CARGO_TARGET_DIR", root().join("target/embedder"))
        .current_dir(folder.path()));
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let program = root().join("target/embedder/debug/embedder");
    let output = run(Command::new(program).current_dir(folder.path()));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines, ["1 + 2 = 3", r#"{"i":0}"#, r#"{"i":1}"#, r#"{"i":2}"#]);
}
