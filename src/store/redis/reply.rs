//! What is asked of a server and what it answers, between the verbs and the client library.

use ::redis::{Cmd, Pipeline, Value};

/// What is sent in one go, and answered as one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// One command, as words.
    One(&'a [&'a [u8]]),
    /// Commands that run as one, or not at all.
    Atomic(&'a [&'a [&'a [u8]]]),
    /// How long each of these keys has to live, and then what is stored under it. Not as one: each command has its own reply.
    Reads(&'a [&'a [u8]]),
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
            Self::Reads(keys) => {
                for key in *keys {
                    pipeline.add_command(command(&[b"PTTL", key]));
                    pipeline.add_command(command(&[b"GET", key]));
                }
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
            Self::One(_) | Self::Reads(_) => false,
            Self::Atomic(_) => at == 0,
            Self::Asking(request) => at > 0 && request.ran_apart(at.saturating_sub(1)),
        }
    }
}

const MULTI: &[u8] = b"MULTI";

pub(super) fn command(words: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(words);
    command
}

/// The text of a reply, if it is one.
pub(super) fn text(reply: &Value) -> Option<&str> {
    match reply {
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// The number in a reply, also as text.
pub(super) fn integer(reply: &Value) -> Option<i64> {
    match reply {
        Value::Int(number) => Some(*number),
        _ => text(reply)?.parse().ok(),
    }
}

/// The parts of a reply, to keep; none, if it has none.
pub(super) fn into_array(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(parts) => parts,
        _ => Vec::new(),
    }
}

/// The parts of a reply; none, if it has none.
pub(super) fn array(reply: &Value) -> &[Value] {
    match reply {
        Value::Array(parts) => parts,
        _ => &[],
    }
}
