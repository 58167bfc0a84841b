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

/// What Redis's own error codes mean for a call. All of them come before anything is done.
const CODES: &[(&str, Meaning)] = &[
    ("NOSCRIPT", Meaning::NoScript),
    ("WRONGPASS", Meaning::Token),
    ("NOAUTH", Meaning::Token),
    ("NOPERM", Meaning::ReadOnly),
    ("WRONGTYPE", Meaning::Foreign),
    ("OOM", Meaning::Full),
    ("READONLY", Meaning::Passing),
    ("BUSY", Meaning::Passing),
    ("LOADING", Meaning::Passing),
    ("MASTERDOWN", Meaning::Passing),
    ("CLUSTERDOWN", Meaning::Passing),
    ("TRYAGAIN", Meaning::Passing),
];

/// What Upstash says after a plain `ERR`.
const PHRASES: &[(&str, Meaning)] = &[
    ("max daily request limit", Meaning::Quota),
    ("max requests limit", Meaning::Quota),
    ("quota exceeded", Meaning::Quota),
    ("max request size", Meaning::TooLarge),
    ("max concurrent connections", Meaning::Passing),
    ("commands per second", Meaning::Passing),
    ("requests per second", Meaning::Passing),
    ("allow-key-locking", Meaning::Flags),
    ("compiling script", Meaning::Flags),
    ("compilation", Meaning::Flags),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    NoScript,
    Flags,
    Token,
    ReadOnly,
    Foreign,
    Full,
    Quota,
    TooLarge,
    /// It passes by itself.
    Passing,
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum CommandFailure {
    /// The server does not know the script by its digest.
    NoScript,
    /// The server cannot read the script's first line.
    Flags(StoreError),
    /// The token may read and not write.
    ReadOnly(StoreError),
    Other(StoreError),
}

impl From<StoreError> for CommandFailure {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<CommandFailure> for StoreError {
    fn from(failure: CommandFailure) -> Self {
        match failure {
            CommandFailure::NoScript => Self::refused("the server does not keep scripts; use one that runs EVAL"),
            CommandFailure::Flags(error) | CommandFailure::ReadOnly(error) | CommandFailure::Other(error) => error,
        }
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
    /// What the server may have repeated and no reader should see: the token, the key.
    pub(super) hidden: [&'r str; 2],
}

impl CommandRefusal<'_> {
    pub(super) fn failure(&self) -> CommandFailure {
        match self.error.and_then(meaning) {
            Some(Meaning::NoScript) => CommandFailure::NoScript,
            Some(Meaning::Flags) => CommandFailure::Flags(self.refused("the server cannot read the script")),
            Some(Meaning::ReadOnly) => CommandFailure::ReadOnly(StoreError::refused(
                "the token may not run scripts, as a read-only token may not; use the token that may write",
            )),
            Some(Meaning::Token) => CommandFailure::Other(wrong_token()),
            Some(Meaning::Foreign) => CommandFailure::Other(StoreError::refused(
                "something else than text is stored under this key; give payproof a database of its own",
            )),
            Some(Meaning::Full) => {
                CommandFailure::Other(self.refused("the database is full; make room or a larger one"))
            }
            Some(Meaning::Quota) => {
                CommandFailure::Other(self.refused("the database's quota is used up; raise its plan"))
            }
            Some(Meaning::TooLarge) => {
                CommandFailure::Other(self.refused("the request is larger than the plan allows; raise the plan"))
            }
            Some(Meaning::Passing) => {
                CommandFailure::Other(self.with_wait(StoreError::not_sent(self.message("the server is busy"))))
            }
            None => CommandFailure::Other(self.by_status()),
        }
    }

    /// Where the server does not say it in words that are known.
    fn by_status(&self) -> StoreError {
        let status = self.status;
        match status {
            401 | 403 => wrong_token(),
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
fn meaning(error: &str) -> Option<Meaning> {
    let starts = |(code, meaning): &(&str, Meaning)| {
        let found = error.split(": ").any(|part| part.split(' ').next() == Some(code));
        found.then_some(*meaning)
    };
    let says = |(phrase, meaning): &(&str, Meaning)| error.to_ascii_lowercase().contains(phrase).then_some(*meaning);
    CODES.iter().find_map(starts).or_else(|| PHRASES.iter().find_map(says))
}

fn wrong_token() -> StoreError {
    StoreError::refused("the token is refused; set the REST token of this database")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, error: &str) -> CommandFailure {
        let hidden = ["t0ken", "key-of-an-order"];
        CommandRefusal { status, retry_after: None, error: Some(error), body: b"", hidden }.failure()
    }

    fn page(status: u16, body: &str) -> StoreError {
        let wait = Some(Duration::from_secs(7));
        let hidden = ["t0ken", "key-of-an-order"];
        CommandRefusal { status, retry_after: wait, error: None, body: body.as_bytes(), hidden }.failure().into()
    }

    #[test]
    fn the_first_words_decide_whatever_the_status() {
        for status in [200, 400, 500] {
            for text in
                ["NOSCRIPT No matching script.", "Failed to execute Redis command: NOSCRIPT No matching script."]
            {
                assert!(matches!(failure(status, text), CommandFailure::NoScript), "{status} {text}");
            }
            for text in [
                "ERR Unexpected flag in script shebang: allow-key-locking",
                "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'",
            ] {
                assert!(matches!(failure(status, text), CommandFailure::Flags(_)), "{status} {text}");
            }
            assert!(matches!(failure(status, "NOPERM this user has no permissions"), CommandFailure::ReadOnly(_)));
        }
    }

    #[test]
    fn what_waiting_does_not_mend_is_refused() {
        for (text, advice) in [
            ("WRONGPASS invalid or missing auth token", "set the REST token"),
            ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.", "raise its plan"),
            ("ERR max requests limit exceeded. Limit: 500000, Usage: 500000.", "raise its plan"),
            ("ERR DB capacity quota exceeded", "raise its plan"),
            ("ERR max request size exceeded", "raise the plan"),
            ("OOM command not allowed when used memory > 'maxmemory'", "make room"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "database of its own"),
            ("ERR something new", "something new"),
        ] {
            let error = StoreError::from(failure(400, text));
            assert!(error.is_refused() && error.to_string().contains(advice), "{text}: {error}");
        }
    }

    #[test]
    fn what_passes_did_nothing() {
        for text in ["LOADING Redis is loading", "READONLY You can't write", "ERR max concurrent connections exceeded"]
        {
            let error = StoreError::from(failure(400, text));
            assert!(!error.is_refused() && !error.is_outcome_unknown(), "{text}: {error}");
        }
        let error = page(429, "slow down");
        assert!(!error.is_refused() && !error.is_outcome_unknown(), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
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
