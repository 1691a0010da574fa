//! Sizes as people write them: `"512MiB"`, or a plain number of bytes.
//!
//! For `#[serde(with = "snakepit_core::size")]`, also in the options of an adapter of your own.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

/// Units of 1024 end in `iB`, units of 1000 in `B` alone, as IEC 80000-13 has them. Largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
];

/// For `#[serde(with = "snakepit_core::size::option")]`.
pub mod option {
    use super::{Bytes, Deserialize, Deserializer, Serializer};

    /// Writes a size that is there as [`size`](super::serialize) does.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<T, S>(size: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + TryInto<u64>,
        S: Serializer,
    {
        match size {
            Some(size) => super::serialize(size, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a size that may be missing.
    ///
    /// # Errors
    /// For what is no size, or one that `T` cannot hold.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: TryFrom<u64>,
        D: Deserializer<'de>,
    {
        Ok(Option::<Bytes<T>>::deserialize(deserializer)?.map(|size| size.0))
    }
}

/// Writes the largest binary unit that loses nothing, otherwise the number of bytes.
///
/// # Errors
/// The serializer's own.
pub fn serialize<T, S>(size: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + TryInto<u64>,
    S: Serializer,
{
    let bytes = (*size).try_into().unwrap_or(u64::MAX);
    let fits = |unit: &&(&str, u64)| unit.1.is_power_of_two() && bytes >= unit.1 && bytes % unit.1 == 0;
    match UNITS.iter().find(fits) {
        Some((unit, factor)) => serializer.collect_str(&format_args!("{}{unit}", bytes / factor)),
        None => serializer.serialize_u64(bytes),
    }
}

/// Reads a size.
///
/// # Errors
/// For what is no size, or one that `T` cannot hold.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    // A text in a format that knows its types, or a number; what a variable says is always a text.
    deserializer.deserialize_any(Size(PhantomData))
}

/// A size that was read.
struct Bytes<T>(T);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Bytes<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

struct Size<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Size<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a size such as \"512MiB\" or a number of bytes, below 2^{}", 8 * size_of::<T>())
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<T, E> {
        T::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<T, E> {
        let size = u64::try_from(bytes).ok().and_then(|bytes| T::try_from(bytes).ok());
        size.ok_or_else(|| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let size = parse(text).and_then(|bytes| T::try_from(bytes).ok());
        size.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A whole number, and a unit that may stand after a space. Upper and lower case mean the same.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim_start();
    let factor = match unit {
        "" | "B" | "b" => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sizes {
        #[serde(with = "super")]
        small: u32,
        #[serde(with = "super")]
        large: usize,
        #[serde(default, with = "super::option", skip_serializing_if = "Option::is_none")]
        maybe: Option<u64>,
    }

    fn read(small: &serde_json::Value) -> Result<u32, String> {
        let sizes = serde_json::from_value::<Sizes>(json!({"small": small, "large": 0}));
        sizes.map(|sizes| sizes.small).map_err(|error| error.to_string())
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_has_a_unit() {
        let table = [
            (json!(512), 512),
            (json!("512"), 512),
            (json!("7B"), 7),
            (json!("512MiB"), 512 << 20),
            (json!("512 mib"), 512 << 20),
            (json!("3KiB"), 3072),
            (json!("3kB"), 3000),
            (json!("2GB"), 2_000_000_000),
            (json!("0MiB"), 0),
        ];
        for (written, bytes) in table {
            assert_eq!(read(&written), Ok(bytes), "{written}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_one_looks_like() {
        for bad in
            [json!("MiB"), json!("1.5MiB"), json!("-1"), json!(-1), json!("1M"), json!("4GiB"), json!(true)]
        {
            let error = read(&bad).unwrap_err();
            assert!(error.contains("a size such as \"512MiB\"") && error.contains("2^32"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_size_is_written_in_the_largest_unit_that_loses_nothing() {
        let written =
            serde_json::to_value(Sizes { small: 64 << 20, large: 1_000_000, maybe: Some(1024) }).unwrap();
        assert_eq!(written, json!({"small": "64MiB", "large": 1_000_000, "maybe": "1KiB"}));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_as_the_same_size(small: u32, shift in 0..20_u32, large: usize, maybe: Option<u64>) {
            let sizes = Sizes { small: small >> shift << shift, large, maybe };
            prop_assert_eq!(&serde_json::from_value::<Sizes>(serde_json::to_value(&sizes)?)?, &sizes);
        }
    }
}
