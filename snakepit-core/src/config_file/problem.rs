//! What is wrong with a value, said where it is found; the key and the place are added on the way out.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config_file::nearest::nearest;
use crate::config_file::wording::unlike;
use crate::error::{ConfigError, ConfigPlace};
use crate::id::PoolName;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Problem {
    /// The keys that lead to it, innermost first.
    keys: Vec<String>,
    place: Option<ConfigPlace>,
    what: What,
}

#[derive(Debug)]
enum What {
    UnknownKey { nearest: Option<String> },
    Value { message: String },
}

impl Problem {
    /// A value that cannot be read.
    pub(super) fn value(message: impl fmt::Display) -> Self {
        Self { keys: Vec::new(), place: None, what: What::Value { message: message.to_string() } }
    }

    /// A key that has to be there and is not.
    pub(super) fn missing(key: &str) -> Self {
        Self::value("it is missing").under(key)
    }

    /// A key that is none of the known ones.
    pub(super) fn unknown_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let nearest = nearest(key, known).map(str::to_owned);
        Self { keys: vec![key.to_owned()], place: None, what: What::UnknownKey { nearest } }
    }

    /// A text that is none of the known ones.
    pub(super) fn unknown_text(text: &str, known: &[&str]) -> Self {
        let hint = nearest(text, known.iter().copied());
        let hint = hint.map(|hint| format!("; did you mean {hint:?}?")).unwrap_or_default();
        Self::value(format_args!("{text:?} is not one of {}{hint}", known.join(", ")))
    }

    /// The table that holds the key has this key itself.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    /// Where it stands, unless that is known more closely.
    pub(super) fn standing_at(mut self, place: &ConfigPlace) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// The whole story, as a caller is told.
    pub(super) fn into_error(self, pool: Option<&PoolName>, otherwise: &ConfigPlace) -> ConfigError {
        let Self { mut keys, place, what } = self;
        let (place, pool) = (place.unwrap_or_else(|| otherwise.clone()), pool.cloned());
        keys.reverse();
        let key = keys.join(".");
        match what {
            What::UnknownKey { nearest } => {
                keys.pop();
                let nearest = nearest.map(|nearest| [keys, vec![nearest]].concat().join("."));
                ConfigError::UnknownKey { place, pool, key, nearest }
            }
            What::Value { message } => ConfigError::Value { place, pool, key, message },
        }
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(unlike(unexpected, expected))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(unlike(unexpected, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing(field)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Problem {}
