//! The commands that a worker offers, and how a payload becomes their arguments.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use snakepit_core::{Encoding, Payload, WorkerErrorKind};

use crate::port::frame::{CommandInfo, Kind};
use crate::worker::chunks::Chunks;
use crate::worker::context::Context;
use crate::worker::error::{CommandError, CommandResult};

type Answering = dyn Fn(&Context, Payload) -> CommandResult<Payload> + Send + Sync;
type Streaming = dyn Fn(&Context, Payload, &mut Chunks<'_>) -> CommandResult<()> + Send + Sync;

pub(super) enum Handler {
    Answer(Box<Answering>),
    Stream(Box<Streaming>),
}

#[derive(Default)]
pub(super) struct Commands(BTreeMap<String, Handler>);

impl Commands {
    pub(super) fn insert(&mut self, name: String, handler: Handler) {
        self.0.insert(name, handler);
    }

    /// The handler for a request, or why there is none.
    pub(super) fn find(&self, command: &str, asked_by: Kind) -> CommandResult<&Handler> {
        let not_streaming = |message: &str| {
            let message = format!("{command} {message}");
            CommandError::of(WorkerErrorKind::StreamingNotSupported, "StreamingNotSupported", message)
        };
        match (self.0.get(command), asked_by) {
            (Some(handler @ Handler::Answer(_)), Kind::Execute)
            | (Some(handler @ Handler::Stream(_)), Kind::ExecuteStream) => Ok(handler),
            (Some(Handler::Answer(_)), _) => Err(not_streaming("answers once, not with a stream")),
            (Some(Handler::Stream(_)), _) => Err(not_streaming("answers with a stream")),
            (None, _) => {
                let message = format!("there is no command {command:?}");
                Err(CommandError::of(WorkerErrorKind::UnknownCommand, "UnknownCommand", message))
            }
        }
    }

    /// What there is, as Ready says it.
    pub(super) fn infos(&self) -> Vec<CommandInfo> {
        let info = |(name, handler): (&String, &Handler)| CommandInfo {
            name: name.clone(),
            stream: matches!(handler, Handler::Stream(_)),
        };
        self.0.iter().map(info).collect()
    }
}

/// Reads arguments: an object or an array, or nothing.
pub(super) fn arguments<A: DeserializeOwned>(payload: &Payload) -> CommandResult<A> {
    match payload.encoding() {
        Some(Encoding::Json) => json_arguments(&payload.data),
        // Another encoding that is known here says "no arguments" in one way.
        Some(_) => payload.decode().map_err(|error| CommandError::invalid_argument(error.to_string())),
        None => {
            let message =
                format!("the arguments are {}, which this worker cannot read", payload.content_type);
            Err(CommandError::invalid_argument(message))
        }
    }
}

fn json_arguments<A: DeserializeOwned>(data: &[u8]) -> CommandResult<A> {
    let data = if data.is_empty() { b"null" } else { data.trim_ascii() };
    serde_json::from_slice(data).or_else(|error| {
        // A caller says "no arguments" in one of three ways, and a command in another.
        let read = if NO_ARGUMENTS.contains(&data) {
            NO_ARGUMENTS.iter().find_map(|none| serde_json::from_slice(none).ok())
        } else {
            None
        };
        read.ok_or_else(|| CommandError::invalid_argument(error.to_string()))
    })
}

const NO_ARGUMENTS: [&[u8]; 3] = [b"null", b"{}", b"[]"];

/// The encoding that the answer to a request is written in: that of its arguments, where a value can be written so.
pub(super) fn answer_encoding(arguments: &Payload) -> Encoding {
    arguments.encoding().unwrap_or(Encoding::Json)
}

/// Writes a result.
pub(super) fn result<R: Serialize + ?Sized>(value: &R, encoding: Encoding) -> CommandResult<Payload> {
    Ok(Payload::encode(value, encoding)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Add {
        a: i64,
        b: i64,
    }

    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Nothing {}

    #[test]
    fn arguments_come_by_name_or_by_position_or_not_at_all() {
        let json = |text: &'static str| Payload { data: text.into(), ..Payload::json(&()).unwrap() };
        assert_eq!(arguments::<Add>(&json(r#"{"b": 2, "a": 1}"#)).unwrap(), Add { a: 1, b: 2 });
        assert_eq!(arguments::<Add>(&json("[1, 2]")).unwrap(), Add { a: 1, b: 2 });
        assert_eq!(arguments::<(i64, i64)>(&json("[1, 2]")).unwrap(), (1, 2));
        assert_eq!(arguments::<Option<i64>>(&json("")).unwrap(), None);
        for none in ["", "null", "{}", " [] "] {
            assert!(arguments::<()>(&json(none)).is_ok(), "{none}");
            assert_eq!(arguments::<Nothing>(&json(none)).unwrap(), Nothing {});
        }
        for (payload, text) in [
            (json(r#"{"a": 1}"#), "missing field `b`"),
            (json("{"), "EOF while parsing"),
            (
                Payload::bytes("x"),
                "the arguments are application/octet-stream, which this worker cannot read",
            ),
        ] {
            let error = arguments::<Add>(&payload).unwrap_err().0;
            assert_eq!(error.kind, WorkerErrorKind::InvalidArgument);
            assert!(error.message.contains(text), "{}", error.message);
        }
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn arguments_in_message_pack_are_answered_in_message_pack() {
        let payload = Payload::msgpack(&serde_json::json!({"a": 1, "b": 2})).unwrap();
        assert_eq!(arguments::<Add>(&payload).unwrap(), Add { a: 1, b: 2 });
        let answer = result(&3, answer_encoding(&payload)).unwrap();
        assert_eq!(
            (answer.content_type.as_ref(), answer.data.as_ref()),
            (snakepit_core::MSGPACK, &[3_u8][..])
        );
        assert_eq!(arguments::<Option<i64>>(&Payload::msgpack(&()).unwrap()).unwrap(), None);
        let torn = Payload { data: payload.data.slice(..4), ..payload };
        assert_eq!(arguments::<Add>(&torn).unwrap_err().0.kind, WorkerErrorKind::InvalidArgument);
        assert_eq!(answer_encoding(&Payload::bytes("x")), Encoding::Json);
    }

    #[test]
    fn a_command_is_asked_in_the_way_that_it_answers() {
        let mut commands = Commands::default();
        commands.insert("one".into(), Handler::Answer(Box::new(|_, payload| Ok(payload))));
        commands.insert("many".into(), Handler::Stream(Box::new(|_, _, _| Ok(()))));
        let kind = |command, asked_by| commands.find(command, asked_by).err().map(|error| error.0.kind);
        assert_eq!((kind("one", Kind::Execute), kind("many", Kind::ExecuteStream)), (None, None));
        assert_eq!(kind("one", Kind::ExecuteStream), Some(WorkerErrorKind::StreamingNotSupported));
        assert_eq!(kind("many", Kind::Execute), Some(WorkerErrorKind::StreamingNotSupported));
        assert_eq!(kind("none", Kind::Execute), Some(WorkerErrorKind::UnknownCommand));
        let streams: Vec<bool> = commands.infos().iter().map(|info| info.stream).collect();
        assert_eq!(streams, [true, false]);
    }
}
