//! The file that says which pools to run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use snakepit_adapters::port::PortAdapter;
use snakepit_core::{PoolConfig, PoolOptions};
use toml::{Table, Value};

/// What the file says, resolved and checked.
pub(crate) struct PitConfig {
    pub(crate) data_dir: PathBuf,
    pub(crate) pools: Vec<PoolConfig>,
}

/// What is wrong with the file.
#[derive(Debug)]
pub(crate) struct BadConfig(String);

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a pool's table that describes its program; the rest are pool options.
#[derive(Deserialize)]
struct Program {
    adapter: String,
    #[serde(rename = "program")]
    path: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    clear_env: bool,
    cwd: Option<PathBuf>,
}

const TOP_KEYS: [&str; 2] = ["data_dir", "pools"];
const PROGRAM_KEYS: [&str; 6] = ["adapter", "program", "args", "env", "clear_env", "cwd"];

impl PitConfig {
    /// Reads a file. Paths in it count from the folder that it lies in.
    pub(crate) fn read(path: &Path) -> Result<Self, BadConfig> {
        let bad = |what: String| BadConfig(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let folder = std::path::absolute(path).map_err(|error| bad(error.to_string()))?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, folder).map_err(bad)
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let file: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        check_keys(&file, &TOP_KEYS.map(str::to_owned), "")?;
        let data_dir = match file.get("data_dir") {
            Some(Value::String(data_dir)) => folder.join(data_dir),
            Some(_) => return Err("data_dir must be a text".to_owned()),
            None => return Err("data_dir is missing".to_owned()),
        };
        let Some(Value::Table(pools)) = file.get("pools") else {
            return Err("there is no table [pools.NAME]".to_owned());
        };
        let pools = pools.iter().map(|(name, table)| {
            let table = table.as_table().ok_or(format!("pools.{name} must be a table"))?;
            parse_pool(name, table, folder).map_err(|error| format!("pools.{name}: {error}"))
        });
        Ok(Self { data_dir, pools: pools.collect::<Result<_, _>>()? })
    }
}

fn parse_pool(name: &str, table: &Table, folder: &Path) -> Result<PoolConfig, String> {
    let options = known_options()?;
    let mut known: Vec<String> = PROGRAM_KEYS.map(str::to_owned).to_vec();
    known.extend(options.keys().cloned());
    check_keys(table, &known, "")?;
    for (key, value) in table {
        if let (Some(serde_json::Value::Object(known)), Value::Table(nested)) = (options.get(key), value) {
            check_keys(nested, &known.keys().cloned().collect::<Vec<_>>(), &format!("{key}."))?;
        }
    }
    let (program, options): (Table, Table) =
        table.clone().into_iter().partition(|(key, _)| PROGRAM_KEYS.contains(&key.as_str()));
    let program: Program = program.try_into().map_err(|error| named(&error))?;
    let options: PoolOptions = options.try_into().map_err(|error| named(&error))?;
    if program.adapter != "port" {
        return Err(format!("adapter {:?} is not known; there is \"port\"", program.adapter));
    }
    Ok(PoolConfig::new(name, port(program, folder)).options(options))
}

/// What is wrong, with the key that it is wrong with: the long form names it, on lines of its own.
fn named(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn port(program: Program, folder: &Path) -> PortAdapter {
    // A name without a slash is looked up in PATH; a path counts from the file.
    let path = if program.path.contains('/') { folder.join(&program.path) } else { program.path.into() };
    let mut adapter = PortAdapter::new(path).args(program.args);
    for (name, value) in program.env {
        adapter = adapter.env(name, value);
    }
    if program.clear_env {
        adapter = adapter.clear_env();
    }
    adapter.cwd(program.cwd.map_or(folder.to_owned(), |cwd| folder.join(cwd)))
}

/// The names of all pool options, read off the defaults, so that no second list of them can fall behind.
fn known_options() -> Result<serde_json::Map<String, serde_json::Value>, String> {
    match serde_json::to_value(PoolOptions::default()) {
        Ok(serde_json::Value::Object(options)) => Ok(options),
        other => Err(format!("the default options are no table: {other:?}")),
    }
}

fn check_keys(table: &Table, known: &[String], prefix: &str) -> Result<(), String> {
    if let Some(key) = table.keys().find(|key| !known.contains(key)) {
        let nearest = known.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
        let hint = nearest.map(|nearest| format!("; did you mean {prefix}{nearest}?")).unwrap_or_default();
        return Err(format!("unknown key {prefix}{key}{hint}"));
    }
    Ok(())
}
