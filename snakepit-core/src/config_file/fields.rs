//! The keys that a type reads, asked of the type itself, so that no second list of them can fall behind.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Deeper tables than this are not looked into: a type may hold itself.
const DEEPEST: usize = 4;

/// A key, and the keys of the table that it holds, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) fields: Vec<Field>,
}

/// The keys of a struct; `None` for what is no struct, or gathers keys that nobody knows (`#[serde(flatten)]`).
pub(super) fn of<T: DeserializeOwned>() -> Option<Vec<Field>> {
    below::<T>(&mut Vec::new())
}

fn below<T: DeserializeOwned>(route: &mut Vec<usize>) -> Option<Vec<Field>> {
    let mut found = None;
    // The type is never built: the probe ends in an error as soon as it has seen the names.
    drop(T::deserialize(Probe { route, found: &mut found }));
    let names = found?;
    let fields = names.iter().enumerate().map(|(at, name)| {
        route.push(at);
        let fields = if route.len() < DEEPEST { below::<T>(route) } else { None };
        route.pop();
        Field { name, fields: fields.unwrap_or_default() }
    });
    Some(fields.collect())
}

/// Follows a route of fields into a type, and notes the names of the struct at its end.
struct Probe<'a> {
    route: &'a [usize],
    found: &'a mut Option<&'static [&'static str]>,
}

/// The end of every probe.
#[derive(Debug)]
struct Seen;

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the names have been seen")
    }
}

impl std::error::Error for Seen {}

impl Error for Seen {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Seen;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Seen> {
        Err(Seen)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Seen> {
        let Some((&first, route)) = self.route.split_first() else {
            *self.found = Some(fields);
            return Err(Seen);
        };
        let name = fields.get(first).copied().ok_or(Seen)?;
        visitor.visit_map(OneField { name: Some(name), probe: Some(Probe { route, found: self.found }) })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Seen> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Seen> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// A struct of which only one field is told.
struct OneField<'a> {
    name: Option<&'static str>,
    probe: Option<Probe<'a>>,
}

impl<'de> MapAccess<'de> for OneField<'_> {
    type Error = Seen;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Seen> {
        self.name.take().map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Seen> {
        seed.deserialize(self.probe.take().ok_or(Seen)?)
    }
}

#[cfg(test)]
#[expect(dead_code, reason = "the types are asked for their names and never built")]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[derive(Deserialize)]
    struct Outer {
        plain: u16,
        #[serde(rename = "other")]
        renamed: Option<Inner>,
        map: BTreeMap<String, String>,
        #[serde(with = "humantime_serde")]
        time: Duration,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        text: String,
        again: Option<Box<Inner>>,
    }

    #[derive(Deserialize)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, String>,
    }

    #[test]
    fn a_struct_says_its_names_and_those_below() {
        let fields = of::<Outer>().unwrap();
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        assert_eq!(names, ["plain", "other", "map", "time"]);
        let inner: Vec<_> = fields[1].fields.iter().map(|field| field.name).collect();
        assert_eq!(inner, ["text", "again"]);
        assert!(fields[0].fields.is_empty() && fields[2].fields.is_empty());
    }

    #[test]
    fn what_takes_any_key_says_none() {
        assert_eq!(of::<Flat>(), None);
        assert_eq!(of::<BTreeMap<String, u8>>(), None);
    }
}
