//! What is asked of a server and what it answers, between the verbs and the client library.

use ::redis::{Cmd, Pipeline, RedisError, ServerError, Value};

/// What is sent in one go, and answered as one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// One command, as words.
    One(&'a [&'a [u8]]),
    /// Commands that run as one, or not at all.
    Atomic(&'a [&'a [&'a [u8]]]),
    /// The same, at a node that the key is being moved to.
    Asking(&'a Request<'a>),
}

impl Request<'_> {
    /// The commands as they are sent, framed by hand: the library's own framing hides which of them was refused.
    pub(super) fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::new();
        self.add_to(&mut pipeline);
        pipeline
    }

    fn add_to(&self, pipeline: &mut Pipeline) {
        match self {
            Self::One(words) => {
                pipeline.add_command(command(words));
            }
            Self::Atomic(commands) => {
                pipeline.add_command(command(&[MULTI]));
                for words in *commands {
                    pipeline.add_command(command(words));
                }
                pipeline.add_command(command(&[b"EXEC"]));
            }
            Self::Asking(request) => {
                // It counts until EXEC, if it stands before MULTI.
                pipeline.add_command(command(&[b"ASKING"]));
                request.add_to(pipeline);
            }
        }
    }

    /// Whether the commands ran although the server refused to run them as one: `at` is the place of the refusal.
    pub(super) fn ran_apart(&self, at: usize) -> bool {
        match self {
            Self::One(_) => false,
            Self::Atomic(_) => at == 0,
            Self::Asking(request) => at > 0 && request.ran_apart(at.saturating_sub(1)),
        }
    }
}

const MULTI: &[u8] = b"MULTI";

pub(super) fn command(words: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RecordReply {
    Nil,
    Integer(i64),
    /// A short text, such as `OK`.
    Text(Box<str>),
    Bytes(Vec<u8>),
    Array(Vec<RecordReply>),
    /// The server's refusal, as it words it.
    Error(Box<str>),
}

impl RecordReply {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The parts; none, if it has none.
    pub(super) fn array(&self) -> &[RecordReply] {
        match self {
            Self::Array(parts) => parts,
            _ => &[],
        }
    }

    /// The refusals in an error of the library, if servers made it: the first says more than that the whole was called off.
    pub(super) fn of_error(error: RedisError) -> Result<Self, RedisError> {
        match error.clone().into_server_errors() {
            Some(errors) => Ok(Self::Error(errors.first().map_or_else(|| "ERR".into(), |(_, error)| text_of(error)))),
            None => Err(error),
        }
    }
}

impl From<Value> for RecordReply {
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::Array(parts) => Self::Array(parts.into_iter().map(Self::from).collect()),
            Value::SimpleString(text) => Self::Text(text.into()),
            Value::Okay => Self::Text("OK".into()),
            Value::ServerError(error) => Self::Error(text_of(&error)),
            // None of the commands that are sent here has such replies in the second version of the protocol.
            _ => Self::Error("ERR the answer is none that Redis gives to these commands".into()),
        }
    }
}

fn text_of(error: &ServerError) -> Box<str> {
    match error.details() {
        Some(detail) => format!("{} {detail}", error.code()).into(),
        None => error.code().into(),
    }
}
