//! The caller's idempotency key.

use std::fmt;
use std::sync::Arc;

use crate::intent::invalid_intent::{Field, InvalidIntent};

/// The longest key, as in Stripe's API.
const MAX_LEN: usize = 255;

/// The caller's idempotency key: 1 to 255 printable ASCII characters.
///
/// Debug shows no part of it, since callers put personal data and tokens into keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Parses a key.
    ///
    /// # Errors
    /// Names the field `key` when the text is empty, over 255 characters, or not printable ASCII, and when it is what a
    /// program writes for a missing value: `undefined`, `null`, `[object Object]` or `NaN`.
    pub fn parse(key: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let key = key.as_ref();
        let wrong = |rule: &'static str| Err(InvalidIntent::new(Field::Key, rule));
        match key.len() {
            0 => wrong("must not be empty"),
            len if len > MAX_LEN => wrong("must have at most 255 characters"),
            _ if !key.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) => wrong("must be printable ASCII"),
            _ => bug(key).map_or_else(|| Ok(Self(key.into())), wrong),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule for a key that a client's bug makes: what JavaScript writes where a value is missing. All of its requests would
/// have that one key.
fn bug(key: &str) -> Option<&'static str> {
    Some(match key {
        "undefined" => "must not be `undefined`, which a program writes for a missing value",
        "null" => "must not be `null`, which a program writes for a missing value",
        "[object Object]" => "must not be `[object Object]`, which a program writes for a value that is no text",
        "NaN" => "must not be `NaN`, which a program writes for a missing number",
        _ => return None,
    })
}

impl TryFrom<&str> for IdempotencyKey {
    type Error = InvalidIntent;

    fn try_from(key: &str) -> Result<Self, InvalidIntent> {
        Self::parse(key)
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidIntent;

    fn try_from(key: String) -> Result<Self, InvalidIntent> {
        Self::parse(key)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}
