//! A tree, read as the type that wants it: what a variable says gets its meaning here, and every key is checked.

use std::vec;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::config_file::node::{Content, Node, Table, settle};
use crate::config_file::problem::Problem;
use crate::config_file::text::parse_value;
use crate::config_file::wording::no_word;
use crate::error::ConfigPlace;

impl Node {
    /// Words that are a number or a truth value become one; others stay a text, and whoever wanted the number says so.
    fn meaning<T: std::str::FromStr>(mut self, content: impl FnOnce(T) -> Content) -> Self {
        if let Content::Words(words) = &self.content
            && let Ok(value) = words.trim().parse()
        {
            self.content = content(value);
        }
        self
    }

    /// Words that stand for a list or a table, in the form that TOML has for them.
    fn opened(mut self, example: &str) -> Result<Self, Problem> {
        if let Content::Words(words) = &self.content {
            let unlike = |words: &str| format!("{words:?} is not written as in TOML, such as {example}");
            let opened = parse_value(words, &self.place);
            self.content = opened.ok_or_else(|| Problem::value(unlike(words)).standing_at(&self.place))?;
        }
        Ok(self)
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let place = self.place;
        let value = match self.content {
            Content::Bool(yes) => visitor.visit_bool(yes),
            Content::Integer(number) => visitor.visit_i64(number),
            Content::Float(number) => visitor.visit_f64(number),
            Content::Text(text) | Content::Words(text) => visitor.visit_string(text),
            Content::List(nodes) => visitor.visit_seq(Items(nodes.into_iter())),
            Content::Table(table) => visitor.visit_map(Entries::new(table)),
        };
        value.map_err(|problem| problem.standing_at(&place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.meaning(Content::Bool).deserialize_any(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.meaning(Content::Integer).deserialize_any(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.meaning(Content::Float).deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.opened(r#"["a", "b"]"#)?.deserialize_any(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.opened(r#"{ a = "b" }"#)?.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let mut node = self.opened(r#"{ a = "b" }"#)?;
        if let Content::Table(table) = &mut node.content {
            check_keys(table, fields.iter().copied())?;
        }
        node.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let place = self.place.clone();
        let value = match self.content {
            Content::Text(text) | Content::Words(text) if variants.contains(&text.as_str()) => {
                visitor.visit_enum(StringDeserializer::new(text))
            }
            Content::Text(text) | Content::Words(text) => Err(Problem::unknown_text(&text, variants)),
            Content::Table(table) => visitor.visit_enum(MapAccessDeserializer::new(Entries::new(table))),
            content => Err(Problem::value(no_word(&content, variants))),
        };
        value.map_err(|problem| problem.standing_at(&place))
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

/// Gives the variables' keys their known names, and refuses a key that is none.
pub(super) fn check_keys<'a>(
    table: &mut Table,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<(), Problem> {
    settle(table, known.clone())?;
    let is_known = |key: &String| known.clone().into_iter().any(|known| known == key);
    match table.iter().find(|(key, _)| !is_known(key)) {
        Some((key, node)) => {
            // Capitals are how variables are written, and nothing that anybody meant.
            let key = if node.is_from_variable() { &key.to_ascii_lowercase() } else { key };
            Err(Problem::unknown_key(key, known).standing_at(&node.place))
        }
        None => Ok(()),
    }
}

/// The elements of a list.
struct Items(vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

/// The entries of a table.
struct Entries {
    entries: std::collections::btree_map::IntoIter<String, Node>,
    value: Option<(String, Node)>,
}

impl Entries {
    fn new(table: Table) -> Self {
        Self { entries: table.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        let read = seed.deserialize(key.as_str().into_deserializer());
        self.value = Some((key, node));
        read.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (key, node) =
            self.value.take().ok_or_else(|| Problem::value("a value was asked for before its key"))?;
        let place: ConfigPlace = node.place.clone();
        seed.deserialize(node).map_err(|problem| problem.under(&key).standing_at(&place))
    }
}
