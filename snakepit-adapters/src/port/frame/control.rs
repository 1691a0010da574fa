//! The bodies of frames that are about the connection: Hello, Ready, Log, Recycle, Credit, `EndSession`.

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use snakepit_core::Progress;
use snakepit_core::adapter::StreamWindow;

use crate::port::frame::error::ProtocolError;
use crate::port::frame::kind::Kind;
use crate::port::frame::payload::read_text;

/// The version of the contract that this crate speaks.
pub const PROTOCOL: u32 = 1;

/// The feature of a worker that says when it begins with a request.
pub const STARTED: &str = "started";

/// What the host says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions of the contract that the host speaks.
    pub protocol: Vec<u32>,
    /// The features that it offers.
    #[serde(default)]
    pub features: Vec<String>,
    /// The pool that the worker belongs to.
    #[serde(default)]
    pub pool: String,
    /// Its place in the pool.
    #[serde(default)]
    pub slot: u16,
    /// Which life of that place's worker.
    #[serde(default)]
    pub incarnation: u64,
    /// The most bytes that one request or one answer may hold.
    #[serde(default = "Hello::usual_payload_limit")]
    pub payload_limit: u64,
}

impl Hello {
    /// What holds where a host leaves it out: 64 MiB.
    fn usual_payload_limit() -> u64 {
        64 << 20
    }
}

/// What a worker says when it takes requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The version of the contract that it chose.
    pub protocol: u32,
    /// The features that it uses, of those that were offered.
    #[serde(default)]
    pub features: Vec<String>,
    /// How many requests it runs at once.
    pub capacity: u16,
    /// What it says it is.
    #[serde(default)]
    pub agent: String,
    /// What it can do, if it says so.
    #[serde(default)]
    pub commands: Vec<CommandInfo>,
}

/// One command that a worker offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// Its name.
    pub name: String,
    /// Whether it answers with a stream.
    #[serde(default)]
    pub stream: bool,
}

impl Ready {
    /// Checks what a worker chose.
    ///
    /// # Errors
    /// [`ProtocolError::Version`] or [`ProtocolError::NoCapacity`].
    pub fn check(self) -> Result<Self, ProtocolError> {
        if self.protocol != PROTOCOL {
            return Err(ProtocolError::Version { chosen: self.protocol, offered: PROTOCOL });
        }
        if self.capacity == 0 {
            return Err(ProtocolError::NoCapacity);
        }
        Ok(self)
    }
}

/// How grave a line of a worker's log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For following every step.
    Trace,
    /// For finding a fault.
    Debug,
    /// Worth knowing.
    #[default]
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::TRACE,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warn => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// A line of a worker's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How grave it is.
    #[serde(default)]
    pub level: LogLevel,
    /// Who wrote it.
    #[serde(default)]
    pub logger: String,
    /// The text.
    #[serde(default)]
    pub message: String,
}

/// What happened in a worker, by key. Keys that this version does not know are left aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// How far a request is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Why a worker asks to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recycle {
    /// The reason, for the log.
    #[serde(default)]
    pub reason: String,
}

/// Reads a JSON body, which is an object.
///
/// # Errors
/// [`ProtocolError::Json`] with what the reader said.
pub fn read_json<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, ProtocolError> {
    // Without this check an array of the right values would do as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ProtocolError::Json { kind, message: "it is not a JSON object".into() });
    }
    serde_json::from_slice(body).map_err(|error| ProtocolError::Json { kind, message: error.to_string() })
}

/// Reads the body of a Credit.
///
/// # Errors
/// [`ProtocolError::BodyLength`] where it is not 8 bytes.
pub fn read_credit(mut body: Bytes) -> Result<StreamWindow, ProtocolError> {
    if body.len() != 8 {
        return Err(ProtocolError::BodyLength { what: "Credit", stated: 8, actual: body.len() as u64 });
    }
    Ok(StreamWindow { chunks: body.get_u32(), bytes: body.get_u32() })
}

/// The body of a Credit.
pub fn credit_body(credit: StreamWindow) -> [u8; 8] {
    (u64::from(credit.chunks) << 32 | u64::from(credit.bytes)).to_be_bytes()
}

/// Reads the body of an `EndSession`.
///
/// # Errors
/// [`ProtocolError::NotText`] where it is not UTF-8.
pub fn read_session(body: &[u8]) -> Result<&str, ProtocolError> {
    read_text("the session id", body)
}

/// Checks the body of a frame that has none.
///
/// # Errors
/// [`ProtocolError::BodyLength`] where there is one.
pub fn read_nothing(kind: Kind, body: &[u8]) -> Result<(), ProtocolError> {
    if body.is_empty() {
        Ok(())
    } else {
        Err(ProtocolError::BodyLength { what: kind.name(), stated: 0, actual: body.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(json: &str) -> Result<Ready, String> {
        read_json::<Ready>(Kind::Ready, json.as_bytes())
            .and_then(Ready::check)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_ready_needs_a_version_and_a_capacity_and_ignores_what_it_does_not_know() {
        let least = ready(r#"{"protocol": 1, "capacity": 2, "later": {"x": 1}}"#).unwrap();
        assert_eq!((least.capacity, least.agent.as_str(), least.commands.len()), (2, "", 0));
        let named =
            ready(r#"{"protocol":1,"capacity":1,"commands":[{"name":"count","stream":true}]}"#).unwrap();
        assert_eq!(named.commands, [CommandInfo { name: "count".into(), stream: true }]);
    }

    #[test]
    fn a_bad_ready_says_what_is_wrong() {
        for (json, begins) in [
            (r#"{"protocol": 2, "capacity": 1}"#, "the worker chose protocol version 2, offered was 1"),
            (r#"{"protocol": 1, "capacity": 0}"#, "the worker is ready with a capacity of 0"),
            (r#"{"protocol": 1, "capacity": 70000}"#, "Ready cannot be read"),
            (r#"{"protocol": 1}"#, "Ready cannot be read: missing field `capacity`"),
            ("hello", "Ready cannot be read"),
            ("[1, [], 1]", "Ready cannot be read: it is not a JSON object"),
        ] {
            let error = ready(json).unwrap_err();
            assert!(error.starts_with(begins), "{json}: {error}");
        }
    }

    #[test]
    fn credit_comes_back_as_it_went() {
        let credit = StreamWindow { chunks: 3, bytes: u32::MAX };
        assert_eq!(read_credit(Bytes::copy_from_slice(&credit_body(credit))), Ok(credit));
        let error = read_credit(Bytes::from_static(b"1234567")).unwrap_err().to_string();
        assert_eq!(error, "Credit states 8 bytes and has 7");
    }

    #[test]
    fn a_session_is_text_and_a_cancel_has_no_body() {
        assert_eq!(read_session(b"s"), Ok("s"));
        assert!(read_session(b"\xff").is_err());
        let error = read_nothing(Kind::Cancel, b"x").unwrap_err().to_string();
        assert_eq!(error, "Cancel states 0 bytes and has 1");
    }
}
