//! What files and variables say, as one tree: every value with the place where it stands.

use std::collections::BTreeMap;

use crate::config_file::problem::Problem;
use crate::error::ConfigPlace;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) place: ConfigPlace,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// What a variable says: whoever reads it knows whether it is a number or a text.
    Words(String),
    List(Vec<Node>),
    Table(Table),
}

pub(super) type Table = BTreeMap<String, Node>;

impl Node {
    pub(super) fn new(content: Content, place: ConfigPlace) -> Self {
        Self { content, place }
    }

    /// Lays `above` over this: tables are joined key by key, anything else is replaced.
    pub(super) fn overlay(&mut self, above: Self) {
        match (&mut self.content, above) {
            (Content::Table(below), Self { content: Content::Table(above), .. }) => {
                for (key, node) in above {
                    match below.get_mut(&key) {
                        Some(there) => there.overlay(node),
                        None => _ = below.insert(key, node),
                    }
                }
            }
            (_, above) => *self = above,
        }
    }

    /// What it holds, where that is a table.
    pub(super) fn into_table(self) -> Result<Table, Problem> {
        match self.content {
            Content::Table(table) => Ok(table),
            _ => Err(Problem::value("it must be a table").standing_at(&self.place)),
        }
    }

    /// Where a value stands that is reached by a dotted key; a variable's goes before a file's, as it does in effect.
    pub(super) fn place_of(&self, key: &str) -> Option<&ConfigPlace> {
        let mut node = self;
        for name in key.split('.') {
            let Content::Table(table) = &node.content else { return None };
            let said =
                table.iter().find(|(key, node)| node.is_from_variable() && key.eq_ignore_ascii_case(name));
            node = said.map(|(_, node)| node).or_else(|| table.get(name))?;
        }
        Some(&node.place)
    }

    pub(super) fn is_from_variable(&self) -> bool {
        matches!(self.place, ConfigPlace::Variable { .. })
    }
}

/// Gives keys that variables say in any case the one that `known` has; keys of files are left as they are.
pub(super) fn settle<'a>(table: &mut Table, known: impl IntoIterator<Item = &'a str>) -> Result<(), Problem> {
    for name in known {
        let meant = |(key, node): &(&String, &Node)| {
            *key != name && node.is_from_variable() && key.eq_ignore_ascii_case(name)
        };
        while let Some(key) = table.iter().find(meant).map(|(key, _)| key.clone()) {
            let Some(node) = table.remove(&key) else { continue };
            match table.get_mut(name) {
                Some(there) if there.is_from_variable() && !both_tables(there, &node) => {
                    let message = format!("{} says it, too", there.place);
                    return Err(Problem::value(message).under(name).standing_at(&node.place));
                }
                Some(there) => there.overlay(node),
                None => _ = table.insert(name.to_owned(), node),
            }
        }
    }
    Ok(())
}

fn both_tables(one: &Node, other: &Node) -> bool {
    matches!((&one.content, &other.content), (Content::Table(_), Content::Table(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: usize) -> ConfigPlace {
        ConfigPlace::File { path: "a.toml".into(), line }
    }

    fn variable(name: &str) -> ConfigPlace {
        ConfigPlace::Variable { name: name.to_owned() }
    }

    fn table<const N: usize>(place: ConfigPlace, entries: [(&str, Node); N]) -> Node {
        let entries = entries.map(|(key, node)| (key.to_owned(), node));
        Node::new(Content::Table(entries.into()), place)
    }

    fn number(number: i64, place: ConfigPlace) -> Node {
        Node::new(Content::Integer(number), place)
    }

    #[test]
    fn tables_are_joined_and_everything_else_is_replaced() {
        let list = |at| Node::new(Content::List(vec![number(1, line(at))]), line(at));
        let mut below =
            table(line(1), [("a", number(1, line(2))), ("b", number(1, line(3))), ("l", list(4))]);
        let above =
            table(line(11), [("b", number(2, line(12))), ("c", number(2, line(13))), ("l", list(14))]);
        below.overlay(above);
        let joined = [
            ("a", number(1, line(2))),
            ("b", number(2, line(12))),
            ("c", number(2, line(13))),
            ("l", list(14)),
        ];
        assert_eq!(below, table(line(1), joined));
        assert_eq!(
            (below.place_of("b"), below.place_of("b.x"), below.place_of("x")),
            (Some(&line(12)), None, None)
        );
    }

    #[test]
    fn a_variable_means_the_known_key_whatever_its_case() {
        let mut node = table(line(1), [("size", number(1, line(2))), ("SIZE", number(8, variable("V")))]);
        let Content::Table(entries) = &mut node.content else { panic!("{node:?}") };
        settle(entries, ["size"]).unwrap();
        assert_eq!(node, table(line(1), [("size", number(8, variable("V")))]));
    }

    #[test]
    fn a_key_of_a_file_is_taken_as_it_is_written() {
        let mut entries = Table::from([("SIZE".to_owned(), number(1, line(2)))]);
        settle(&mut entries, ["size"]).unwrap();
        assert!(entries.contains_key("SIZE"));
    }

    #[test]
    fn two_variables_that_say_the_same_option_are_refused() {
        let mut entries = Table::from([
            ("SIZE".to_owned(), number(1, variable("UPPER"))),
            ("Size".to_owned(), number(2, variable("MIXED"))),
        ]);
        let error = settle(&mut entries, ["size"]).unwrap_err().into_error(None, &line(1)).to_string();
        assert_eq!(error, "MIXED: size: UPPER says it, too");
    }
}
