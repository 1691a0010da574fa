//! The caller's name for a session. Millions are kept, looked up and forgotten, so most are kept where they stand: a UUID
//! as text costs neither memory of its own nor a step to it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::id::InvalidName;

/// How many bytes an id may have to be kept where it stands.
const SHORT: usize = 38;

/// The caller's name for a series of calls that share state in a worker: 1 to 1024 bytes. Cheap to clone.
#[derive(Clone)]
pub struct SessionId(Text);

#[derive(Clone)]
enum Text {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Arc<str>),
}

impl SessionId {
    /// Checks a session id.
    ///
    /// # Errors
    /// [`InvalidName`] for an empty id or one over 1024 bytes.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        if !(1..=1024).contains(&id.len()) {
            let name = id.chars().take(80).collect();
            return Err(InvalidName { what: "session id", name, rule: "1 to 1024 bytes" });
        }
        let mut bytes = [0; SHORT];
        let text = match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(id.as_bytes());
                Text::Short { len, bytes }
            }
            _ => Text::Long(id.into()),
        };
        Ok(Self(text))
    }

    /// The id as text.
    #[expect(clippy::missing_panics_doc, reason = "what was text is text")]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("the bytes are those of a text, all of them")
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short { len, bytes } => &bytes[..usize::from(*len)],
            Text::Long(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SessionId {}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for SessionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SessionId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_has_a_length_limit() {
        assert_eq!(SessionId::new("user ä").unwrap().as_str(), "user ä");
        assert!(SessionId::new("").is_err());
        assert!(SessionId::new(&"s".repeat(1025)).is_err());
    }

    #[test]
    fn ids_are_their_text_however_long_and_a_uuid_is_short() {
        for len in [1, 36, SHORT, SHORT + 1, 1024] {
            let text = "s".repeat(len);
            let id = SessionId::new(&text).unwrap();
            assert_eq!((id.as_str(), id.to_string()), (text.as_str(), text.clone()));
            assert_eq!(matches!(id.0, Text::Short { .. }), len <= SHORT);
            assert_eq!(id, SessionId::new(&text).unwrap());
            assert_ne!(id, SessionId::new(&"s".repeat(len % 1024 + 1)).unwrap());
            assert!(id < SessionId::new("t").unwrap());
        }
        assert_eq!(size_of::<Option<SessionId>>(), SHORT + 2);
    }
}
