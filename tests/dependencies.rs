//! What we depend on, held to `deny.toml` without any tool that may not be there: licences, bans, sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for the crates of this workspace.
    source: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn deny() -> Deny {
    toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap()
}

fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline"]).current_dir(root());
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

#[test]
fn every_licence_is_allowed() {
    let allowed = deny().licenses.allow;
    for Package { name, version, license, .. } in packages() {
        let license = license.unwrap_or_else(|| panic!("{name} {version} says no licence"));
        let expression = spdx::Expression::parse_mode(&license, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name} {version}: {license}: {error}"));
        let fits = expression.evaluate(|requirement| {
            requirement.addition.is_none()
                && requirement.license.id().is_some_and(|id| allowed.iter().any(|allowed| allowed == id.name))
        });
        assert!(fits, "{name} {version} is under {license}, which deny.toml does not allow");
    }
}

#[test]
fn no_banned_crate_came_in() {
    let bans = deny().bans.deny;
    assert!(!bans.is_empty());
    for package in packages() {
        if let Some(ban) = bans.iter().find(|ban| ban.name == package.name) {
            panic!("{} is banned: {}", package.name, ban.reason);
        }
    }
}

#[test]
fn every_crate_comes_from_the_one_registry() {
    for package in packages() {
        let own = package.source.is_none() && package.name.starts_with("snakepit-");
        let registry = package.source.as_ref().is_some_and(|source| source.starts_with("registry+"));
        assert!(own || registry, "{} comes from {:?}", package.name, package.source);
    }
}
