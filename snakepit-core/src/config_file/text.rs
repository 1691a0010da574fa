//! TOML as text, read into a tree that knows its lines.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config_file::node::{Content, Node, Table};
use crate::error::{ConfigError, ConfigPlace};

/// Reads the text of a file.
pub(super) fn parse_file(text: &str, path: &Path) -> Result<Node, ConfigError> {
    Reading { text, path: Some(path), place: None }.document()
}

/// Reads what a variable says as a TOML value.
pub(super) fn parse_value(words: &str, place: &ConfigPlace) -> Option<Content> {
    let text = format!("value = {words}");
    let document = Reading { text: &text, path: None, place: Some(place) }.document().ok()?;
    let Content::Table(mut table) = document.content else { return None };
    // More than one key: the words held a line break, and something of their own after it.
    if table.len() == 1 { table.remove("value").map(|node| node.content) } else { None }
}

struct Reading<'a> {
    text: &'a str,
    path: Option<&'a Path>,
    /// Everything stands there, where it does not come from a file.
    place: Option<&'a ConfigPlace>,
}

impl Reading<'_> {
    fn document(&self) -> Result<Node, ConfigError> {
        let document = DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            place: self.place(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        Ok(Node::new(Content::Table(self.table(document.into_inner())?), self.place(0)))
    }

    fn table(&self, table: DeTable<'_>) -> Result<Table, ConfigError> {
        let entries = table.into_iter().map(|(key, value)| {
            // A table's own place is where its name stands: its span may be empty, or begin with its first key.
            let at = key.span().start;
            Ok((key.into_inner().into_owned(), self.node(value, at)?))
        });
        entries.collect()
    }

    fn node(&self, value: Spanned<DeValue<'_>>, at: usize) -> Result<Node, ConfigError> {
        let content = match value.into_inner() {
            DeValue::String(text) => Content::Text(text.into_owned()),
            DeValue::Integer(number) => Content::Integer(self.integer(&number, at)?),
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Content::Float(number),
                Err(_) => return Err(self.beyond(number.as_str(), at)),
            },
            DeValue::Boolean(yes) => Content::Bool(yes),
            DeValue::Datetime(time) => Content::Text(time.to_string()),
            DeValue::Array(list) => {
                let nodes = list.into_iter().map(|value| {
                    let at = value.span().start;
                    self.node(value, at)
                });
                Content::List(nodes.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Content::Table(self.table(table)?),
        };
        Ok(Node::new(content, self.place(at)))
    }

    fn integer(&self, number: &DeInteger<'_>, at: usize) -> Result<i64, ConfigError> {
        i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| self.beyond(number.as_str(), at))
    }

    fn beyond(&self, number: &str, at: usize) -> ConfigError {
        ConfigError::Syntax { place: self.place(at), message: format!("the number {number} is too large") }
    }

    fn place(&self, at: usize) -> ConfigPlace {
        if let Some(place) = self.place {
            return place.clone();
        }
        let line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        ConfigPlace::File { path: self.path.unwrap_or(Path::new("")).to_owned(), line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, ConfigError> {
        parse_file(text, Path::new("a.toml"))
    }

    #[test]
    fn every_value_knows_its_line() {
        let node = parse("a = 1\n\n[t.u]\nb = \"x\" # and\nc = [\n  1,\n  2,\n]\n").unwrap();
        let line = |key| match node.place_of(key) {
            Some(ConfigPlace::File { line, .. }) => *line,
            other => panic!("{key}: {other:?}"),
        };
        assert_eq!(["a", "t", "t.u", "t.u.b", "t.u.c"].map(line), [1, 3, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        for (text, line) in
            [("a = 1\nb = [\n", 2), ("a = 1\na = 2\n", 2), ("\n\na = 99999999999999999999", 3)]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("a.toml, line {line}: ")), "{text:?}: {error}");
        }
    }

    #[test]
    fn numbers_are_read_in_every_form_that_toml_has() {
        let node = parse("a = 0x10\nb = 1_000\nc = 1e3\nd = inf\ne = 1979-05-27\n").unwrap();
        let Content::Table(table) = node.content else { panic!() };
        let contents: Vec<_> = table.into_values().map(|node| node.content).collect();
        let expected = [
            Content::Integer(16),
            Content::Integer(1000),
            Content::Float(1e3),
            Content::Float(f64::INFINITY),
            Content::Text("1979-05-27".to_owned()),
        ];
        assert_eq!(contents, expected);
    }

    #[test]
    fn a_variable_holds_one_value_and_nothing_after_it() {
        let place = ConfigPlace::Variable { name: "V".to_owned() };
        let node = |content| Node::new(content, place.clone());
        let list = Content::List(vec![node(Content::Integer(1)), node(Content::Text("b".to_owned()))]);
        assert_eq!(parse_value(r#"[1, "b"]"#, &place), Some(list));
        for bad in ["", "word", "1\nother = 2", "[1"] {
            assert_eq!(parse_value(bad, &place), None, "{bad:?}");
        }
    }
}
