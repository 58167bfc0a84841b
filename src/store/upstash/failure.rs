//! What a refusal means: did anything happen, and what is to be done about it.

use std::time::Duration;

use super::script::PREFIX;
use crate::http::status_meaning::StatusMeaning;
use crate::http::transport::TransportError;
use crate::store::StoreError;

/// The longest part of an answer that is shown.
const MAX_SAID: usize = 160;

/// Shorter keys are not looked for in a text: they are found in any, and give nothing away.
const MIN_ECHO: usize = 4;

/// What Redis's own error codes mean for a call, and what it is told. All of them come before anything is done.
const CODES: &[(&str, Meaning, &str)] = &[
    ("NOSCRIPT", Meaning::NoScript, "the server does not keep scripts; use one that runs EVAL"),
    ("WRONGPASS", Meaning::Lasting, WRONG_TOKEN),
    ("NOAUTH", Meaning::Lasting, WRONG_TOKEN),
    ("NOPERM", Meaning::ReadOnly, READ_ONLY),
    ("WRONGTYPE", Meaning::Lasting, FOREIGN),
    ("OOM", Meaning::Lasting, "the database is full; make room or a larger one"),
    ("READONLY", Meaning::Passing, BUSY),
    ("BUSY", Meaning::Passing, BUSY),
    ("LOADING", Meaning::Passing, BUSY),
    ("MASTERDOWN", Meaning::Passing, BUSY),
    ("CLUSTERDOWN", Meaning::Passing, BUSY),
    ("TRYAGAIN", Meaning::Passing, BUSY),
];

/// What Upstash says after a plain `ERR`.
const PHRASES: &[(&str, Meaning, &str)] = &[
    ("max daily request limit", Meaning::Lasting, QUOTA),
    ("max requests limit", Meaning::Lasting, QUOTA),
    ("quota exceeded", Meaning::Lasting, QUOTA),
    ("max request size", Meaning::Lasting, "the request is larger than the plan allows; raise the plan"),
    ("max concurrent connections", Meaning::Passing, BUSY),
    ("commands per second", Meaning::Passing, BUSY),
    ("requests per second", Meaning::Passing, BUSY),
    ("allow-key-locking", Meaning::Flags, FLAGS),
    ("compiling script", Meaning::Flags, FLAGS),
    ("compilation", Meaning::Flags, FLAGS),
];

const WRONG_TOKEN: &str = "the token is refused; set the REST token of this database";
const READ_ONLY: &str = "the token may not run scripts, as a read-only token may not; use the token that may write";
const FOREIGN: &str = "something else than text is stored under this key; give payproof a database of its own";
const QUOTA: &str = "the database's quota is used up; raise its plan";
const BUSY: &str = "the server is busy";
const FLAGS: &str = "the server cannot read the script";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server does not know the script by its digest.
    NoScript,
    /// The server cannot read the script's first line.
    Flags,
    /// The token may read and not write.
    ReadOnly,
    /// It lasts until an operator changes something.
    Lasting,
    /// It passes by itself.
    Passing,
}

/// Why a command has no result, and what the server means by it, where its words are known.
#[derive(Debug)]
pub(super) struct CommandFailure {
    pub(super) meaning: Option<Meaning>,
    error: StoreError,
}

impl From<StoreError> for CommandFailure {
    fn from(error: StoreError) -> Self {
        Self { meaning: None, error }
    }
}

impl From<CommandFailure> for StoreError {
    fn from(failure: CommandFailure) -> Self {
        failure.error
    }
}

pub(super) fn of_transport(error: TransportError) -> StoreError {
    match error {
        TransportError::Request(cause) => StoreError::refused(format!("the request cannot be made: {cause}")),
        TransportError::Certificate(cause) => {
            StoreError::refused(format!("the server's certificate was refused: {cause}"))
        }
        TransportError::NotSent(cause) => StoreError::not_sent(format!("no connection: {cause}")),
        TransportError::Broken(cause) => StoreError::outcome_unknown(format!("the connection broke: {cause}")),
        TransportError::TooLarge => StoreError::outcome_unknown("the answer is larger than any record"),
    }
}

/// A reply that is no result.
pub(super) struct CommandRefusal<'r> {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// What stands under `error`, if the body is JSON that has it.
    pub(super) error: Option<&'r str>,
    pub(super) body: &'r [u8],
    /// What the server may have repeated and no reader should see: the token, the keys.
    pub(super) hidden: &'r [&'r str],
}

impl CommandRefusal<'_> {
    pub(super) fn failure(&self) -> CommandFailure {
        let Some((meaning, what)) = self.error.and_then(meaning) else { return self.by_status().into() };
        let error = match meaning {
            Meaning::Passing => self.with_wait(StoreError::not_sent(self.message(what))),
            _ => self.refused(what),
        };
        CommandFailure { meaning: Some(meaning), error }
    }

    /// Where the server does not say it in words that are known.
    fn by_status(&self) -> StoreError {
        let status = self.status;
        match status {
            401 | 403 => self.refused(WRONG_TOKEN),
            413 => self.refused("the request is larger than the server takes"),
            429 => self.with_wait(StoreError::not_sent(self.message("the server limits the rate of requests"))),
            // A server error may come after the work was done. So may a proxy's.
            _ if StatusMeaning::of(status) == StatusMeaning::Unknown => {
                let what = format!("the server failed with status {status}");
                self.with_wait(StoreError::outcome_unknown(self.message(&what)))
            }
            _ if self.error.is_some() => self.refused("the server refused the command"),
            // What it says may be a record in a form that is not known, so it is not shown.
            200..=299 => StoreError::outcome_unknown("the answer is not that of a database; check the URL"),
            _ => self.refused(&format!("status {status}; check that the URL is that of the REST interface")),
        }
    }

    fn refused(&self, what: &str) -> StoreError {
        StoreError::refused(self.message(what))
    }

    fn with_wait(&self, error: StoreError) -> StoreError {
        self.retry_after.into_iter().fold(error, StoreError::with_retry_after)
    }

    fn message(&self, what: &str) -> String {
        let said = match self.error {
            Some(error) => self.presentable(error),
            None => self.presentable(&String::from_utf8_lossy(self.body)),
        };
        if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
    }

    /// What the server says, less whatever of the command it repeats.
    fn presentable(&self, text: &str) -> String {
        // Redis quotes what it does not understand, cut where it pleases.
        let end = ["with args beginning with", "command was"].iter().filter_map(|quote| text.find(quote)).min();
        let mut said = text.get(..end.unwrap_or(text.len())).unwrap_or_default().to_owned();
        for hidden in self.hidden.iter().filter(|hidden| hidden.len() >= MIN_ECHO) {
            said = said.replace(hidden, "[hidden]");
        }
        let words = said.split_whitespace().map(|word| if word.contains(PREFIX) { "[hidden]" } else { word });
        let line: Vec<&str> = words.collect();
        line.join(" ").trim_end_matches([',', ' ']).chars().take(MAX_SAID).collect()
    }
}

/// Some servers put words of their own before Redis's, with a colon.
fn meaning(error: &str) -> Option<(Meaning, &'static str)> {
    let starts = |code: &str| error.split(": ").any(|part| part.split(' ').next() == Some(code));
    let lower = error.to_ascii_lowercase();
    let coded = CODES.iter().find(|(code, ..)| starts(code));
    let (_, meaning, what) = coded.or_else(|| PHRASES.iter().find(|(phrase, ..)| lower.contains(phrase)))?;
    Some((*meaning, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, error: &str) -> CommandFailure {
        let hidden = &["t0ken", "key-of-an-order"];
        CommandRefusal { status, retry_after: None, error: Some(error), body: b"", hidden }.failure()
    }

    fn page(status: u16, body: &str) -> StoreError {
        let wait = Some(Duration::from_secs(7));
        let hidden = &["t0ken", "key-of-an-order"];
        CommandRefusal { status, retry_after: wait, error: None, body: body.as_bytes(), hidden }.failure().into()
    }

    #[test]
    fn the_first_words_decide_whatever_the_status() {
        for status in [200, 400, 500] {
            for text in
                ["NOSCRIPT No matching script.", "Failed to execute Redis command: NOSCRIPT No matching script."]
            {
                assert_eq!(failure(status, text).meaning, Some(Meaning::NoScript), "{status} {text}");
            }
            for text in [
                "ERR Unexpected flag in script shebang: allow-key-locking",
                "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'",
            ] {
                assert_eq!(failure(status, text).meaning, Some(Meaning::Flags), "{status} {text}");
            }
            assert_eq!(failure(status, "NOPERM this user has no permissions").meaning, Some(Meaning::ReadOnly));
        }
    }

    #[test]
    fn a_server_error_may_have_done_it() {
        for status in [408, 500, 502, 503, 504] {
            let error = page(status, "<html><h1>Bad</h1></html>");
            assert!(error.is_outcome_unknown() && error.to_string().contains("<h1>Bad"), "{status}: {error}");
        }
        assert!(StoreError::from(failure(500, "Connection is closed.")).is_outcome_unknown());
        assert!(page(200, "<html>").is_outcome_unknown());
        for status in [302, 404, 405, 413] {
            assert!(page(status, "no").is_refused(), "{status}");
        }
    }

    #[test]
    fn no_error_repeats_token_key_or_value() {
        for text in [
            "ERR unknown command 'EVALSHA', with args beginning with: 'a5a3' '1' 'key-of-an-or'",
            "ERR bad request: key-of-an-order pp1:c2VjcmV0 t0ken",
            "ERR failed, command was: [\"EVAL\",\"key-of-an-order\"]",
        ] {
            for status in [400, 500] {
                let said = StoreError::from(failure(status, text)).to_string();
                assert!(!said.contains("key-of") && !said.contains("c2Vj") && !said.contains("t0ken"), "{said}");
                assert!(said.contains("unknown command") || said.contains("bad request") || said.contains("failed"));
            }
        }
        assert!(page(500, &"x".repeat(5000)).to_string().len() < 300);
    }
}
