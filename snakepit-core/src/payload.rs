//! What a request carries to a worker and what comes back: opaque bytes with a content type.

mod encoding;

pub use encoding::Encoding;

use std::borrow::Cow;
use std::error::Error;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The content type of JSON, the default.
pub const JSON: &str = "application/json";
/// The content type of MessagePack.
pub const MSGPACK: &str = "application/msgpack";
/// The content type of raw bytes.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Opaque bytes, what they are, and further binary parts beside them.
///
/// Nothing in this crate looks inside: encoding and decoding happen on the caller's task, never in an actor.
/// Cloning is cheap; the bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What `data` is, as a media type.
    pub content_type: Cow<'static, str>,
    /// The main part.
    pub data: Bytes,
    /// Binary parts that `data` may refer to by their place.
    pub attachments: Vec<Bytes>,
}

/// Why a value could not become a payload, or a payload a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// A value has no form in the encoding, such as, in JSON, a map with keys that are not text.
    #[error("the arguments cannot be written as {encoding}: {source}")]
    Encode {
        /// How they were to be written.
        encoding: Encoding,
        /// What the encoder said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The bytes are of another shape than the caller asked for, or not what their content type says.
    #[error("the answer cannot be read as {expected}: {source}")]
    Decode {
        /// The Rust type that was asked for.
        expected: &'static str,
        /// What the decoder said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The payload is in no encoding that a typed call can read. MessagePack is one where the feature `msgpack` is enabled.
    #[error("the answer is {content_type}, which a typed call cannot read")]
    NotDecodable {
        /// What the worker said it is.
        content_type: String,
    },
}

impl PayloadError {
    /// A stable word for programs: that of the [`ExecuteError`](crate::ExecuteError) that it becomes. The same bytes never
    /// read otherwise the next time.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encode { .. } => "invalid_argument",
            Self::Decode { .. } | Self::NotDecodable { .. } => "invalid_answer",
        }
    }
}

impl Payload {
    /// Encodes a value as JSON.
    ///
    /// # Errors
    /// [`PayloadError::Encode`] where the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Self::encode(value, Encoding::Json)
    }

    /// Encodes a value as MessagePack, structs as maps. Shorter than JSON, and quicker to read in most languages; bytes
    /// within it (`serde_bytes`) travel as they are. A worker that can read it answers in it.
    ///
    /// # Errors
    /// [`PayloadError::Encode`] where the value has no form in MessagePack.
    #[cfg(feature = "msgpack")]
    pub fn msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Self::encode(value, Encoding::MessagePack)
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// [`PayloadError::Encode`] where the value has no form in that encoding.
    pub fn encode<T: Serialize + ?Sized>(value: &T, encoding: Encoding) -> Result<Self, PayloadError> {
        let data = encoding.write(value).map_err(|source| PayloadError::Encode { encoding, source })?;
        let content_type = Cow::Borrowed(encoding.content_type());
        Ok(Self { content_type, data: data.into(), attachments: Vec::new() })
    }

    /// Takes raw bytes as they are.
    pub fn bytes(data: impl Into<Bytes>) -> Self {
        Self { content_type: Cow::Borrowed(OCTET_STREAM), data: data.into(), attachments: Vec::new() }
    }

    /// How `data` is encoded, where that is something that serde can read here.
    pub fn encoding(&self) -> Option<Encoding> {
        Encoding::of(&self.content_type)
    }

    /// Reads a payload as a value.
    ///
    /// # Errors
    /// [`PayloadError::NotDecodable`] for another content type, [`PayloadError::Decode`] for another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let Some(encoding) = self.encoding() else {
            return Err(PayloadError::NotDecodable { content_type: self.content_type.to_string() });
        };
        encoding
            .read(&self.data)
            .map_err(|source| PayloadError::Decode { expected: std::any::type_name::<T>(), source })
    }

    /// How many bytes the payload holds, attachments included.
    pub fn size(&self) -> usize {
        self.data.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn json_goes_in_and_comes_out() {
        let payload = Payload::json(&serde_json::json!({"a": [1, 2]})).unwrap();
        assert_eq!(payload.content_type, JSON);
        assert_eq!(payload.size(), 11);
        assert_eq!(payload.decode::<HashMap<String, Vec<u8>>>().unwrap()["a"], [1, 2]);
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn message_pack_goes_in_and_comes_out_shorter_than_json() {
        let value = HashMap::from([("a".to_owned(), vec![1_u8, 2])]);
        let payload = Payload::msgpack(&value).unwrap();
        assert_eq!(
            (payload.content_type.as_ref(), payload.encoding()),
            (MSGPACK, Some(Encoding::MessagePack))
        );
        assert_eq!(payload.data.as_ref(), b"\x81\xa1a\x92\x01\x02");
        assert_eq!(payload.decode::<HashMap<String, Vec<u8>>>().unwrap(), value);
        let error = payload.decode::<i64>().unwrap_err().to_string();
        assert!(error.contains("i64"), "{error}");
        let torn = Payload { data: payload.data.slice(..3), ..payload };
        assert!(matches!(torn.decode::<HashMap<String, Vec<u8>>>(), Err(PayloadError::Decode { .. })));
    }

    #[test]
    fn a_map_with_keys_that_are_no_text_is_refused() {
        let value: HashMap<Vec<u8>, u8> = HashMap::from([(vec![1], 1)]);
        let error = Payload::json(&value).unwrap_err().to_string();
        assert!(error.starts_with("the arguments cannot be written as JSON"), "{error}");
    }

    #[test]
    fn a_wrong_shape_names_the_type_that_was_asked_for() {
        let error = Payload::json("text").unwrap().decode::<i64>().unwrap_err().to_string();
        assert!(error.contains("i64"), "{error}");
        let error = Payload::bytes("x").decode::<i64>().unwrap_err().to_string();
        assert!(error.contains(OCTET_STREAM), "{error}");
    }
}
