//! The authentication of records, by keys that can be changed while the service runs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The bytes of a seal.
pub(super) const SEAL_LEN: usize = 32;

/// Authenticates records, so that who can write to the store cannot forge them.
#[derive(Clone)]
pub(crate) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // 32 bytes, filled up with zeros to a block of 64, are that key by the definition of HMAC.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(Hmac::new(&block))
    }

    /// The seal of bytes at a place.
    pub(super) fn of(&self, place: &str, bytes: &[u8]) -> [u8; SEAL_LEN] {
        self.over(place, bytes).finalize().into_bytes().into()
    }

    pub(super) fn is_of(&self, seal: &[u8], place: &str, bytes: &[u8]) -> bool {
        self.over(place, bytes).verify_slice(seal).is_ok()
    }

    fn over(&self, place: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // The length comes first, so that no part of the one is read as part of the other.
        mac.update(&u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(place.as_bytes());
        mac.update(bytes);
        mac
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}
