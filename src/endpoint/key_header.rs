//! The Idempotency-Key header.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::intent::key::IdempotencyKey;

use super::refusal::Refusal;

/// Where the key is.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The rule that two keys break, whether they come in two headers or in one.
const ONCE: &str = "must be given once, and stand in quotation marks if it has a comma";

/// Reads the key, bare or as a string of a structured field (RFC 9651 §3.3.3): `"8e03978e"` and `8e03978e` are the same key.
/// `None` when there is no such header.
///
/// Two headers are refused, and so is the one that a proxy may make of them by RFC 9110 §5.3: `a, a`. So a comma can be part
/// of a key only within quotation marks, where it is no such border.
pub(super) fn read(headers: &HeaderMap, shortest: usize) -> Option<Result<IdempotencyKey, Refusal>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return Some(wrong(ONCE));
    }
    Some(parse(value, shortest))
}

fn parse(value: &HeaderValue, shortest: usize) -> Result<IdempotencyKey, Refusal> {
    let Ok(text) = value.to_str() else { return wrong("must be printable ASCII") };
    let text = text.trim_matches([' ', '\t']);
    let text = match text.strip_prefix('"') {
        Some(quoted) => match unquote(quoted) {
            Some(text) => text,
            None => return wrong("begins with a quotation mark and is not one structured-field string"),
        },
        None if text.contains(',') => return wrong(ONCE),
        None => text.into(),
    };
    let key = IdempotencyKey::parse(&text).map_err(|invalid| Refusal::KeyInvalid { rule: invalid.rule().into() })?;
    if text.len() < shortest {
        return Err(Refusal::KeyInvalid { rule: format!("must have at least {shortest} characters") });
    }
    Ok(key)
}

fn wrong(rule: &str) -> Result<IdempotencyKey, Refusal> {
    Err(Refusal::KeyInvalid { rule: rule.into() })
}

/// What stands between the quotation marks, the first of which has been read. Nothing may follow the second.
fn unquote(quoted: &str) -> Option<Cow<'_, str>> {
    let body = quoted.strip_suffix('"')?;
    if !body.contains(['"', '\\']) {
        return Some(body.into());
    }
    let mut text = String::with_capacity(body.len());
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            plain => text.push(plain),
        }
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(value: &[u8]) -> Result<IdempotencyKey, Refusal> {
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap())]);
        read(&headers, 8).unwrap()
    }

    #[test]
    fn a_bare_key_and_a_string_are_the_same() {
        for value in [&b"8e03978e-40d5"[..], b"\"8e03978e-40d5\"", b"  8e03978e-40d5\t", b" \"8e03978e-40d5\" "] {
            assert_eq!(read_one(value).unwrap().as_str(), "8e03978e-40d5");
        }
        assert_eq!(read_one(br#""a \"b\" \\ c""#).unwrap().as_str(), r#"a "b" \ c"#);
        assert_eq!(read_one(br#"bare"quotes"inside"#).unwrap().as_str(), r#"bare"quotes"inside"#);
        assert_eq!(read_one(br#""order 6735, try 2""#).unwrap().as_str(), "order 6735, try 2");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = [b'k'; 256];
        for value in [
            &b""[..],
            b"  ",
            b"short-7",
            b"\"short-7\"",
            b"\"\"",
            b"\"",
            b"\"ends in an escape\\\"",
            br#""unknown \n escape""#,
            br#""two" "strings""#,
            br#""parameters";a=1"#,
            b"8e03978e-40d5,",
            br#"8e03978e-40d5, "8e03978e-40d5""#,
            "ärger-mit-umlauten".as_bytes(),
            b"tab\tinside-it",
            &long,
        ] {
            assert!(matches!(read_one(value), Err(Refusal::KeyInvalid { .. })), "{value:?}");
        }
        assert!(read_one(&long[..255]).is_ok());
        assert!(read(&HeaderMap::new(), 8).is_none());
    }
}
