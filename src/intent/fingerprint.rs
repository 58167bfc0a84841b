//! Digests that equality is decided on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Part of every digest, so that a changed layout never equals an older one.
const VERSION: &[u8] = b"payproof/1";

/// A SHA-256 over length-prefixed parts; two are equal only when every part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// `purpose` separates digests of the same parts that mean different things.
    pub(crate) fn of<'p>(purpose: &str, parts: impl IntoIterator<Item = Option<&'p [u8]>>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // The length comes first, so that ("ab", "c") and ("a", "bc") differ.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        };
        add(VERSION);
        add(purpose.as_bytes());
        for part in parts {
            // One byte tells an absent part from an empty one.
            add(&[u8::from(part.is_some())]);
            add(part.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }

    /// 43 characters of A-Z, a-z, 0-9, `-` and `_`.
    pub(crate) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
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
    }
}
