//! The structs that read a configuration, as their source declares them: names, types and documents of their fields.

use std::collections::BTreeMap;
use std::path::Path;

/// Where they are declared.
const FILES: [&str; 9] = [
    "snakepit-core/src/config_file/pit.rs",
    "snakepit-core/src/config/options.rs",
    "snakepit-core/src/config/heartbeat.rs",
    "snakepit-core/src/config/telemetry.rs",
    "snakepit-core/src/config/recycle.rs",
    "snakepit-core/src/config/restart.rs",
    "snakepit-core/src/adapter/chunks.rs",
    "snakepit-core/src/process/spec.rs",
    "snakepit-adapters/src/port/options.rs",
];

/// A key, as the struct that reads it declares it.
#[derive(Debug)]
pub(crate) struct Key {
    /// With the tables that it stands in, below the first struct.
    pub(crate) name: String,
    /// What its document says, on one line.
    pub(crate) meaning: String,
}

/// Every struct of those files, by its name.
pub(crate) struct Source(BTreeMap<String, Vec<Field>>);

struct Field {
    name: String,
    kind: String,
    meaning: String,
}

impl Source {
    pub(crate) fn read(root: &Path) -> Self {
        let mut structs = BTreeMap::new();
        for file in FILES {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let mut inside: Option<String> = None;
            let mut comment = Vec::new();
            for line in text.lines() {
                let code = line.trim();
                if let Some(said) = code.strip_prefix("///") {
                    comment.push(said.trim().to_owned());
                } else if let Some((_, name)) = line.split_once("struct ").filter(|_| line.ends_with(" {")) {
                    let name = name.trim_end_matches(" {").to_owned();
                    structs.insert(name.clone(), Vec::new());
                    (inside, comment) = (Some(name), Vec::new());
                } else if line == "}" {
                    inside = None;
                } else if !code.starts_with("#[") {
                    let words = std::mem::take(&mut comment).join(" ");
                    let meaning = words.split_whitespace().collect::<Vec<_>>().join(" ");
                    let field = inside.as_ref().and_then(|_| field(code, meaning));
                    if let (Some(name), Some(field)) = (&inside, field) {
                        structs.entry(name.clone()).or_default().push(field);
                    }
                }
            }
        }
        Self(structs)
    }

    /// The keys of a struct, and of those that it holds, in the order of their declaration.
    pub(crate) fn keys(&self, name: &str) -> Vec<Key> {
        let mut keys = Vec::new();
        for Field { name, kind, meaning } in &self.0[name] {
            let kind = kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
            if self.0.contains_key(kind) {
                let below = self.keys(kind).into_iter();
                keys.extend(below.map(|key| Key { name: format!("{name}.{}", key.name), ..key }));
            } else {
                keys.push(Key { name: name.clone(), meaning: meaning.clone() });
            }
        }
        keys
    }
}

/// A line such as `pub size: u16,`.
fn field(code: &str, meaning: String) -> Option<Field> {
    let (name, kind) = code.strip_suffix(',')?.split_once(": ")?;
    let name = name.rsplit(' ').next()?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    name.chars().all(is_name).then(|| Field { name: name.to_owned(), kind: kind.to_owned(), meaning })
}
