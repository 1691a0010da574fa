//! The encodings that serde writes and reads here: JSON, and MessagePack where the feature `msgpack` is enabled.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::JSON;
#[cfg(feature = "msgpack")]
use crate::payload::MSGPACK;

/// How a value becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// `application/json`; every worker can read it.
    Json,
    /// `application/msgpack`.
    #[cfg(feature = "msgpack")]
    MessagePack,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Encoding {
    /// The encoding of that content type, where there is one here.
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type {
            JSON => Some(Self::Json),
            #[cfg(feature = "msgpack")]
            MSGPACK => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            #[cfg(feature = "msgpack")]
            Self::MessagePack => MSGPACK,
        }
    }

    pub(super) fn write<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Json => Ok(serde_json::to_vec(value)?),
            // Structs as maps: a worker in another language knows names and not their order.
            #[cfg(feature = "msgpack")]
            Self::MessagePack => Ok(rmp_serde::to_vec_named(value)?),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(self, data: &[u8]) -> Result<T, Failure> {
        match self {
            Self::Json => Ok(serde_json::from_slice(data)?),
            #[cfg(feature = "msgpack")]
            Self::MessagePack => Ok(rmp_serde::from_slice(data)?),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            #[cfg(feature = "msgpack")]
            Self::MessagePack => "MessagePack",
        })
    }
}
