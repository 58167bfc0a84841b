//! What is sent and what comes back, as text.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use super::script::PREFIX;
use crate::store::extras::{BatchRead, number_of, overflow};
use crate::store::{StoreError, Stored, Swap};

/// Servers pad, and need not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the script is asked to do.
#[derive(Clone, Copy)]
pub(super) enum Verb<'v> {
    Get,
    Claim {
        value: &'v [u8],
        ttl_millis: u64,
    },
    Replace {
        expected: &'v [u8],
        value: &'v [u8],
        ttl_millis: u64,
    },
    Remove {
        expected: &'v [u8],
    },
    Add {
        by: i64,
        ttl_millis: u64,
    },
    /// Of all keys.
    GetMany,
}

/// A command as the body of a request. Every argument is a string: servers read numbers as floats.
pub(super) fn command(arguments: &[&str]) -> String {
    // Texts can always be written.
    serde_json::to_string(arguments).unwrap_or_default()
}

/// A run of the script; `run` is `EVALSHA` with a digest, or `EVAL` with a text.
pub(super) fn run_script(run: &str, script: &str, keys: &[&str], verb: Verb<'_>) -> String {
    let (name, values) = match verb {
        Verb::Get => ("get", vec![]),
        Verb::Claim { value, ttl_millis } => ("claim", vec![encoded(value), ttl_millis.to_string()]),
        Verb::Replace { expected, value, ttl_millis } => {
            ("replace", vec![encoded(expected), encoded(value), ttl_millis.to_string()])
        }
        Verb::Remove { expected } => ("remove", vec![encoded(expected)]),
        Verb::Add { by, ttl_millis } => ("add", vec![by.to_string(), ttl_millis.to_string()]),
        Verb::GetMany => ("many", vec![]),
    };
    let count = keys.len().to_string();
    let mut arguments = vec![run, script, &count];
    arguments.extend(keys);
    arguments.push(name);
    arguments.extend(values.iter().map(String::as_str));
    command(&arguments)
}

fn encoded(value: &[u8]) -> String {
    match number_of(value) {
        Some(number) => number.to_string(),
        None => format!("{PREFIX}{}", BASE64.encode(value)),
    }
}

/// The body of a reply to one command. Text without escapes is borrowed.
#[derive(Deserialize)]
pub(super) struct RestReply<'b, R> {
    pub(super) result: Option<R>,
    #[serde(borrow)]
    pub(super) error: Option<Text<'b>>,
}

#[derive(Deserialize)]
pub(super) struct Text<'b>(#[serde(borrow)] pub(super) Cow<'b, str>);

/// Reads what the script returned: that it made the change, or what is stored.
pub(super) fn answer(result: &str) -> Result<Swap, StoreError> {
    said(&marked(result).ok_or_else(unexpected)?)
}

/// Reads what the script returned about many keys: nothing about one that did not fit into the answer.
pub(super) fn answers(result: &str) -> Result<Vec<Option<BatchRead>>, StoreError> {
    let plain = marked(result).ok_or_else(unexpected)?;
    let lines = plain.strip_prefix(b":many").ok_or_else(unexpected)?;
    let read = |line: &[u8]| match said(line) {
        Ok(Swap::Lost(stored)) => Ok(stored),
        Ok(Swap::Swapped) => Err(unexpected()),
        Err(error) => Err(error),
    };
    let lines = lines.split(|byte| *byte == b'\n').skip(1);
    Ok(lines.map(|line| (line != b":later").then(|| read(line))).collect())
}

fn said(line: &[u8]) -> Result<Swap, StoreError> {
    match line {
        b":done" => Ok(Swap::Swapped),
        b":none" => Ok(Swap::Lost(None)),
        b":foreign" => Err(foreign()),
        b":overflow" => Err(overflow()),
        other => {
            let held = other.strip_prefix(b":held:").ok_or_else(unexpected)?;
            let colon = held.iter().position(|byte| *byte == b':').ok_or_else(unexpected)?;
            let (ttl_left, value) = held.split_at_checked(colon).ok_or_else(unexpected)?;
            let value = value.strip_prefix(b":").ok_or_else(unexpected)?;
            let bytes = match value.strip_prefix(PREFIX.as_bytes()) {
                Some(encoded) => BASE64.decode(encoded).map_err(|_| foreign())?,
                None => number_of(value).map(|_| value.to_vec()).ok_or_else(foreign)?,
            };
            Ok(Swap::Lost(Some(Stored { bytes, ttl_left: time_left(ttl_left)? })))
        }
    }
}

/// A text that begins with a colon, whether or not the server has encoded it: not all do what the header asks.
fn marked(result: &str) -> Option<Cow<'_, [u8]>> {
    if result.starts_with(':') {
        return Some(Cow::Borrowed(result.as_bytes()));
    }
    let decoded = BASE64.decode(result).ok()?;
    decoded.starts_with(b":").then_some(Cow::Owned(decoded))
}

/// What PTTL says. A record may end between the reading of its value and of its time, on a server whose clock does not
/// stand still meanwhile; one that never ends is not ours.
fn time_left(millis: &[u8]) -> Result<Duration, StoreError> {
    let millis: i64 = std::str::from_utf8(millis).ok().and_then(|text| text.parse().ok()).ok_or_else(unexpected)?;
    match u64::try_from(millis) {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) if millis == -2 => Ok(Duration::ZERO),
        Err(_) => Err(foreign()),
    }
}

/// A text that has something in it which base64 has not, such as INFO's line ends; decoded if it has not.
pub(super) fn with_line_ends(result: &Value) -> Option<String> {
    let result = result.as_str()?;
    if result.contains('\n') {
        return Some(result.to_owned());
    }
    String::from_utf8(BASE64.decode(result).ok()?).ok().filter(|text| text.contains('\n'))
}

/// Names and values, decoded if all of them are the code of a text. Plain settings never all are: `save` is the code of bytes
/// that are no text, and `no-appendfsync-on-rewrite` has a hyphen.
pub(super) fn pairs(result: &Value) -> Vec<(String, String)> {
    let texts = result.as_array().map(Vec::as_slice).unwrap_or_default();
    let plain = |text: &Value| text.as_str().map(str::to_owned);
    let decoded = |text: &Value| String::from_utf8(BASE64.decode(text.as_str()?).ok()?).ok();
    let is_encoded = texts.iter().all(|text| decoded(text).is_some());
    let (pairs, _) = texts.as_chunks::<2>();
    let read = |text: &Value| if is_encoded { decoded(text) } else { plain(text) };
    pairs.iter().filter_map(|[name, value]| read(name).zip(read(value))).collect()
}

/// A number as text. The code of a digit begins with a letter.
pub(super) fn number(result: &Value) -> Option<u64> {
    let text = match result {
        Value::Number(number) => return number.as_u64(),
        Value::String(text) => text,
        _ => return None,
    };
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.parse().ok();
    }
    std::str::from_utf8(&BASE64.decode(text).ok()?).ok()?.parse().ok()
}

fn foreign() -> StoreError {
    StoreError::refused(
        "something else than a record is stored under this key; give payproof a database of its own, or a key prefix",
    )
}

/// The script ran, and what came back is none of its answers.
pub(super) fn unexpected() -> StoreError {
    StoreError::outcome_unknown("the server answered what this script never says; check that the URL is the database's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::object::Object;

    #[test]
    fn an_answer_is_read_encoded_and_plain() {
        let held = |bytes: &[u8], millis| {
            Swap::Lost(Some(Stored { bytes: bytes.to_vec(), ttl_left: Duration::from_millis(millis) }))
        };
        for (plain, wanted) in [
            (":done", Swap::Swapped),
            (":none", Swap::Lost(None)),
            (":held:7:pp1:/wA=", held(b"\xff\x00", 7)),
            (":held:7:-42", held(b"-42", 7)),
            (":held:0:pp1:", held(b"", 0)),
            (":held:-2:pp1:YQ", held(b"a", 0)),
            (":held:3153600000000:pp1:YQ==", held(b"a", 3_153_600_000_000)),
        ] {
            assert_eq!(answer(plain).unwrap(), wanted, "{plain}");
            assert_eq!(answer(&BASE64.encode(plain)).unwrap(), wanted, "{plain}");
        }
    }

    #[test]
    fn what_is_not_ours_is_never_a_miss() {
        for foreign in [
            ":foreign",
            ":held:-1:pp1:YQ==",
            ":held:5:other",
            ":held:5:007",
            ":overflow",
            ":held:5:pp1:*",
            "OmZvcmVpZ24=",
        ] {
            assert!(answer(foreign).unwrap_err().is_refused(), "{foreign}");
        }
        for odd in ["", "OK", "done", ":held", ":held:5", ":held:x:pp1:", ":other", "e\u{301}", "AAAA"] {
            assert!(answer(odd).unwrap_err().is_outcome_unknown(), "{odd}");
        }
    }

    #[test]
    fn an_answer_about_many_keys_has_a_line_for_each() {
        let plain = ":many\n:none\n:held:7:pp1:YQ==\n:foreign\n:later";
        for answer in [plain, &BASE64.encode(plain)] {
            let read = answers(answer).unwrap();
            let stored = Stored { bytes: b"a".to_vec(), ttl_left: Duration::from_millis(7) };
            assert_eq!(read[..2], [Some(Ok(None)), Some(Ok(Some(stored)))]);
            assert!(matches!(&read[2], Some(Err(error)) if error.is_refused()));
            assert_eq!(read[3..], [None]);
        }
        assert_eq!(answers(":many"), Ok(vec![]));
        assert!(answers(":none").unwrap_err().is_outcome_unknown());
    }

    #[test]
    fn a_number_stands_as_it_is_and_whatever_else_looks_like_one_does_not() {
        for (value, wanted) in
            [(&b"42"[..], "42"), (b"-1", "-1"), (b"007", "pp1:MDA3"), (b"", "pp1:"), (b"1 ", "pp1:MSA=")]
        {
            assert_eq!(encoded(value), wanted);
        }
    }

    #[test]
    fn numbers_and_lines_are_read_encoded_and_plain() {
        for value in [Value::from(1_700_000_000), Value::from("1700000000"), Value::from("MTcwMDAwMDAwMA==")] {
            assert_eq!(number(&value), Some(1_700_000_000), "{value}");
        }
        assert_eq!(number(&Value::from("OK")), None);
        for text in ["a:1\r\n", &BASE64.encode("a:1\r\n")] {
            assert_eq!(with_line_ends(&Value::from(text)).as_deref(), Some("a:1\r\n"));
        }
        assert_eq!(with_line_ends(&Value::from("OK")), None);
    }

    #[test]
    fn a_reply_without_escapes_is_borrowed() {
        let reply: RestReply<'_, Text<'_>> = serde_json::from_str(r#"{"result":"OmRvbmU="}"#).unwrap();
        assert!(matches!(reply.result, Some(Text(Cow::Borrowed("OmRvbmU=")))));
        assert!(
            serde_json::from_str::<Object<RestReply<'_, Text<'_>>>>(r#"["OmRvbmU=",null]"#).is_err(),
            "a pipeline's"
        );
        let reply: RestReply<'_, Text<'_>> = serde_json::from_str(r#"{"error":"ERR \"x\""}"#).unwrap();
        assert!(reply.result.is_none() && reply.error.is_some());
    }
}
