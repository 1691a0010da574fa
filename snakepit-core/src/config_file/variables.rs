//! What the environment says of a configuration: which variables there are, and which key each of them means.

use std::ffi::OsString;

use crate::config_file::node::{Content, Node, Table};
use crate::config_file::problem::Problem;
use crate::error::{ConfigError, ConfigPlace};

/// What every variable that means a key begins with. `SNAKEPIT_ENV` and those that workers are given do not.
const PREFIX: &str = "SNAKEPIT__";
/// What stands between the names of tables and keys.
const SEPARATOR: &str = "__";
/// Names the environment whose file is laid over the first.
const ENVIRONMENT: &str = "SNAKEPIT_ENV";
const POOLS: &str = "pools";

/// The variables that concern a configuration, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(Vec<(String, OsString)>);

impl Variables {
    /// Those of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads configuration from the environment"
    )]
    pub(super) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The environment that `SNAKEPIT_ENV` names, if any. An empty name is none.
    pub(super) fn environment(&self) -> Result<Option<String>, ConfigError> {
        let Some((name, value)) = self.0.iter().find(|(name, _)| name == ENVIRONMENT) else {
            return Ok(None);
        };
        Ok(Some(text(name, value)?.to_owned()).filter(|name| !name.is_empty()))
    }

    /// Lays what they say over `root`. They change the pools that it has, and add none.
    pub(super) fn overlay(&self, root: &mut Node) -> Result<(), ConfigError> {
        let pools = pool_names(root);
        let mut table = Table::new();
        for (name, value) in &self.0 {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            let words = text(name, value)?;
            let keys = keys(key, &pools).map_err(|problem| problem.into_error(None, &place(name)))?;
            insert(&mut table, &keys, &Node::new(Content::Words(words.to_owned()), place(name)))
                .map_err(|problem| problem.into_error(None, &place(name)))?;
        }
        root.overlay(Node { content: Content::Table(table), ..root.clone() });
        Ok(())
    }
}

impl FromIterator<(OsString, OsString)> for Variables {
    /// In the order of their names, so that it is always the same one of two mistakes that is told.
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        let ours = |(name, value): (OsString, OsString)| {
            // A name that is not Unicode is none of ours.
            let name = name.into_string().ok()?;
            (name == ENVIRONMENT || name.starts_with(PREFIX)).then_some((name, value))
        };
        let mut variables: Vec<_> = variables.into_iter().filter_map(ours).collect();
        variables.sort();
        Self(variables)
    }
}

fn place(name: &str) -> ConfigPlace {
    ConfigPlace::Variable { name: name.to_owned() }
}

fn text<'a>(name: &str, value: &'a OsString) -> Result<&'a str, ConfigError> {
    let unreadable = || Problem::value("it is not Unicode").under("value").into_error(None, &place(name));
    value.to_str().ok_or_else(unreadable)
}

fn pool_names(root: &Node) -> Vec<String> {
    let Content::Table(table) = &root.content else { return Vec::new() };
    match table.get(POOLS).map(|pools| &pools.content) {
        Some(Content::Table(pools)) => pools.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The keys that lead to what a variable means. Case is settled for the table of pools and their names; below, whoever
/// reads the value knows whether its keys have a case.
fn keys(key: &str, pools: &[String]) -> Result<Vec<String>, Problem> {
    let (first, rest) = key.split_once(SEPARATOR).map_or((key, None), |(first, rest)| (first, Some(rest)));
    if !first.eq_ignore_ascii_case(POOLS) {
        return Ok(key.split(SEPARATOR).map(str::to_owned).collect());
    }
    let mut keys = vec![POOLS.to_owned()];
    if let Some(rest) = rest {
        let (pool, rest) = split_pool(rest, pools).ok_or_else(|| no_pool(rest, pools))?;
        keys.push(pool.to_owned());
        keys.extend(rest.into_iter().flat_map(|rest| rest.split(SEPARATOR)).map(str::to_owned));
    }
    Ok(keys)
}

/// The pool that `rest` begins with, and what follows. Names may hold the separator: the longest that fits is meant.
fn split_pool<'a>(rest: &'a str, pools: &'a [String]) -> Option<(&'a str, Option<&'a str>)> {
    let fitting = pools.iter().filter_map(|pool| {
        let (name, after) = rest.split_at_checked(pool.len())?;
        let is_meant = name.eq_ignore_ascii_case(&pool.replace('-', "_"));
        match (is_meant, after.strip_prefix(SEPARATOR)) {
            (true, None) if after.is_empty() => Some((pool.as_str(), None)),
            (true, Some(after)) => Some((pool.as_str(), Some(after))),
            _ => None,
        }
    });
    fitting.max_by_key(|(pool, _)| pool.len())
}

fn no_pool(rest: &str, pools: &[String]) -> Problem {
    let name = rest.split(SEPARATOR).next().unwrap_or(rest).to_ascii_lowercase();
    Problem::unknown_key(&name, pools.iter().map(String::as_str)).under(POOLS)
}

/// Puts a value where its keys lead.
fn insert(table: &mut Table, keys: &[String], node: &Node) -> Result<(), Problem> {
    let Some((key, keys)) = keys.split_first() else { return Ok(()) };
    if keys.is_empty() {
        table.insert(key.clone(), node.clone());
        return Ok(());
    }
    let below = || Node::new(Content::Table(Table::new()), node.place.clone());
    let there = table.entry(key.clone()).or_insert_with(below);
    match &mut there.content {
        Content::Table(table) => insert(table, keys, node).map_err(|problem| problem.under(key)),
        // Variables come in the order of their names: the table's own is the first.
        _ => Err(Problem::value(format_args!("{} says the whole table", there.place)).under(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn root(pools: &[&str]) -> Node {
        let place = ConfigPlace::File { path: "a.toml".into(), line: 1 };
        let table = |entries: Table| Node::new(Content::Table(entries), place.clone());
        let pools = pools.iter().map(|pool| ((*pool).to_owned(), table(Table::new())));
        table(Table::from([(POOLS.to_owned(), table(pools.collect()))]))
    }

    fn laid_over(pools: &[&str], pairs: &[(&str, &str)]) -> Result<Node, String> {
        let mut root = root(pools);
        variables(pairs).overlay(&mut root).map_err(|error| error.to_string())?;
        Ok(root)
    }

    #[test]
    fn a_variable_means_the_key_of_its_name() {
        let root =
            laid_over(&["default"], &[("SNAKEPIT__POOLS__DEFAULT__SIZE", "8"), ("SNAKEPIT__data_dir", "x")]);
        let root = root.unwrap();
        let place = ConfigPlace::Variable { name: "SNAKEPIT__POOLS__DEFAULT__SIZE".to_owned() };
        assert_eq!(root.place_of("pools.default.SIZE"), Some(&place));
        assert!(root.place_of("data_dir").is_some());
    }

    #[test]
    fn a_pool_is_meant_whatever_the_case_and_whatever_its_dashes() {
        let table = [
            ("SNAKEPIT__POOLS__GPU_2__SIZE", "pools.gpu-2.SIZE"),
            ("SNAKEPIT__POOLS__gpu_2__Size", "pools.gpu-2.Size"),
            ("SNAKEPIT__POOLS__A__SIZE", "pools.a.SIZE"),
            ("SNAKEPIT__POOLS__A__B__SIZE", "pools.a__b.SIZE"),
            ("SNAKEPIT__POOLS__Upper__ENV__Model_X", "pools.UPPER.ENV.Model_X"),
        ];
        for (variable, key) in table {
            let root = laid_over(&["gpu-2", "a", "a__b", "UPPER"], &[(variable, "1")]).unwrap();
            assert!(root.place_of(key).is_some(), "{variable}: {root:?}");
        }
    }

    #[test]
    fn a_pool_that_no_file_has_is_told_with_the_nearest() {
        let error = laid_over(&["default", "gpu"], &[("SNAKEPIT__POOLS__DEFALT__SIZE", "8")]).unwrap_err();
        let said = "SNAKEPIT__POOLS__DEFALT__SIZE: unknown key pools.defalt; did you mean pools.default?";
        assert_eq!(error, said);
    }

    #[test]
    fn a_table_is_said_as_a_whole_or_in_parts() {
        let whole_and_part = [("SNAKEPIT__POOLS__A__ENV", "{}"), ("SNAKEPIT__POOLS__A__ENV__X", "1")];
        let error = laid_over(&["a"], &whole_and_part).unwrap_err();
        assert!(
            error.contains("ENV__X") && error.contains("SNAKEPIT__POOLS__A__ENV says the whole table"),
            "{error}"
        );
    }

    #[test]
    fn other_variables_are_nobodys_business() {
        let others =
            [("SNAKEPIT_MARK", "1"), ("SNAKEPIT_WIRE", "port"), ("PATH", "/bin"), ("SNAKEPIT_ENV", "test")];
        assert_eq!(laid_over(&["a"], &others), Ok(root(&["a"])));
        assert_eq!(variables(&others).environment(), Ok(Some("test".to_owned())));
        assert_eq!(variables(&[("SNAKEPIT_ENV", "")]).environment(), Ok(None));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_unicode_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let variables: Variables = [("SNAKEPIT__DATA_DIR".into(), value)].into_iter().collect();
        let error = variables.overlay(&mut root(&[])).unwrap_err().to_string();
        assert_eq!(error, "SNAKEPIT__DATA_DIR: value: it is not Unicode");
    }
}
