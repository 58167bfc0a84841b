//! Digests that equality is decided on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Begins every digest, so that a changed layout never equals an older one.
const LAYOUT: u8 = 2;

/// What stands in the place of a part's length where there is no part, and where the length needs more than a byte.
const ABSENT: u8 = u8::MAX;
const LONG: u8 = u8::MAX - 1;

/// A SHA-256 over length-prefixed parts; two are equal only when every part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// `purpose` separates digests of the same parts that mean different things.
    ///
    /// A length takes one byte where it can: each 64 bytes cost as much as all else that is done with a part.
    pub(crate) fn of<'p>(purpose: &'p str, parts: impl IntoIterator<Item = Option<&'p [u8]>>) -> Self {
        let mut hash = Sha256::new();
        hash.update([LAYOUT]);
        for part in [Some(purpose.as_bytes())].into_iter().chain(parts) {
            let Some(part) = part else {
                hash.update([ABSENT]);
                continue;
            };
            // The length comes first, so that ("ab", "c") and ("a", "bc") differ.
            match u8::try_from(part.len()) {
                Ok(length) if length < LONG => hash.update([length]),
                _ => {
                    hash.update([LONG]);
                    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                }
            }
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// 43 characters of A-Z, a-z, 0-9, `-` and `_`.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::with_capacity(43);
        self.write_text(&mut text);
        text
    }

    /// Adds that text to another.
    pub(crate) fn write_text(self, to: &mut String) {
        URL_SAFE_NO_PAD.encode_string(self.0, to);
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What no digest is, for a slot that holds none.
    pub(crate) const NONE: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_borders() {
        let of = |parts: &[Option<&[u8]>]| Fingerprint::of("t", parts.iter().copied()).0;
        assert_ne!(of(&[Some(b"ab"), Some(b"c")]), of(&[Some(b"a"), Some(b"bc")]));
        assert_ne!(of(&[Some(b""), None]), of(&[None, Some(b"")]));
        assert_ne!(of(&[Some(b"a")]), of(&[Some(b"a"), None]));
        assert_ne!(Fingerprint::of("t", [None]).0, Fingerprint::of("u", [None]).0);
        // Around the lengths that take a byte, none or more.
        let bytes = vec![b'x'; 600];
        let lengths = [0, 1, 253, 254, 255, 256, 257, 511, 600];
        let digests = lengths.map(|length| of(&[Some(&bytes[..length])]));
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "{}", lengths[at]);
            assert_ne!(*digest, of(&[None, Some(&bytes[..lengths[at].saturating_sub(1)])]));
        }
    }
}
