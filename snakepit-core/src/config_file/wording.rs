//! What serde finds wrong with a value, in the words of whoever wrote it down.

use std::borrow::Cow;

use serde::de::{Expected, Unexpected};

use crate::config_file::node::Content;

/// What a value ought to be, and what it is instead.
pub(super) fn unlike(is: Unexpected<'_>, ought: &dyn Expected) -> String {
    format!("it must be {}, not {}", wanted(&ought.to_string()), said(is))
}

/// The same for a word out of several.
pub(super) fn no_word(is: &Content, words: &[&str]) -> String {
    format!("it must be one of {}, not {}", words.join(", "), said(is.kind()))
}

/// The types of Rust, by which serde names what it expects, as people write values of them.
fn wanted(ought: &str) -> Cow<'_, str> {
    let below = |limit: u64| Cow::Owned(format!("a whole number from 0 to {limit}"));
    match ought {
        "u8" => below(u8::MAX.into()),
        "u16" => below(u16::MAX.into()),
        "u32" => below(u32::MAX.into()),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text".into(),
        "path string" => "a path".into(),
        "a duration" => r#"a duration such as "250ms""#.into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        _ if ought.starts_with("struct ") => "a table".into(),
        _ => ought.into(),
    }
}

fn said(is: Unexpected<'_>) -> String {
    match is {
        Unexpected::Bool(yes) => yes.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

impl Content {
    fn kind(&self) -> Unexpected<'_> {
        match self {
            Self::Bool(yes) => Unexpected::Bool(*yes),
            Self::Integer(number) => Unexpected::Signed(*number),
            Self::Float(number) => Unexpected::Float(*number),
            Self::Text(text) | Self::Words(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Table(_) => Unexpected::Map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use crate::config_file::node::Node;
    use crate::error::ConfigPlace;

    fn said_of<T: DeserializeOwned>(content: Content) -> String {
        let place = ConfigPlace::Variable { name: "V".to_owned() };
        let Err(problem) = T::deserialize(Node::new(content, place.clone())) else { panic!("it is read") };
        problem.under("key").into_error(None, &place).to_string()
    }

    #[test]
    fn no_type_of_rust_is_told_to_whoever_wrote_a_file() {
        let list = || Content::List(Vec::new());
        let table = [
            (said_of::<u8>(Content::Integer(300)), "a whole number from 0 to 255, not 300"),
            (said_of::<u32>(Content::Integer(-1)), "a whole number from 0 to 4294967295, not -1"),
            (said_of::<u64>(Content::Integer(-1)), "a whole number, 0 or more, not -1"),
            (said_of::<usize>(Content::Float(1.5)), "a whole number, 0 or more, not 1.5"),
            (said_of::<i32>(Content::Bool(true)), "a whole number, not true"),
            (said_of::<f64>(Content::Words("x".to_owned())), "a number, not \"x\""),
            (said_of::<bool>(Content::Integer(1)), "true or false, not 1"),
            (said_of::<String>(Content::Integer(1)), "a text, not 1"),
            (said_of::<PathBuf>(list()), "a path, not a list"),
            (said_of::<Vec<u8>>(Content::Integer(1)), "a list, not 1"),
            (said_of::<BTreeMap<String, u8>>(list()), "a table, not a list"),
            (said_of::<Option<u64>>(Content::Text("1".to_owned())), "a whole number, 0 or more, not \"1\""),
        ];
        for (said, expected) in table {
            assert_eq!(said, format!("V: key: it must be {expected}"));
        }
    }
}
