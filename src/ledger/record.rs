//! The bytes of a record: who claimed it, since when, and what came of it.
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | the version of this format |
//! | 1 | 1 if a seal follows, else 0 |
//! | as many as it takes | [`Record`], as postcard |
//! | 32, with a seal | HMAC-SHA-256 over the store key and everything before |

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rand_core::TryRng as _;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::{LedgerError, MAX_RECORD};

/// A reader refuses what a newer writer wrote, so this goes up with every change of the bytes' meaning.
const VERSION: u8 = 1;

const SEAL_LEN: usize = 32;

/// Tells one claim from every other, so that no call can end what another one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Nonce([u8; 16]);

impl Nonce {
    /// Drawn from the operating system: a seed for tests must never make two processes draw the same.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn draw() -> Result<Self, LedgerError> {
        let mut bytes = [0; 16];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| LedgerError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The other nonce of a claim that is asked for a second time.
    pub(crate) fn again(self) -> Self {
        Self(self.0.map(|byte| !byte))
    }

    pub(crate) fn into_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// How far what was claimed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Under way, protected by its lease.
    Claimed,
    /// Done; the payload says what came of it.
    Settled,
    /// It failed; for a short time others fail with it instead of queueing.
    Failed,
    /// Nothing is known, and the call that was under way must not settle. Counts as absent.
    Void,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) nonce: Nonce,
    /// The claim of which the record says what its own process did not: that its lease was over, and it is unknown what came
    /// of it.
    pub(crate) marks: Option<Nonce>,
    /// The time to live it was written with; less what is left of it, that is its age by the store's clock.
    pub(crate) ttl_ms: u64,
    /// How long the claim is protected.
    pub(crate) lease_ms: u64,
    /// What the room that wrote it has to say.
    pub(crate) payload: Vec<u8>,
}

impl Record {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

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

    fn over(&self, key: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // The length comes first, so that no part of the one is read as part of the other.
        mac.update(&u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(key.as_bytes());
        mac.update(bytes);
        mac
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Writes a record as bytes for the place where it will stand.
///
/// # Errors
/// When it is larger than a record may be.
pub(crate) fn encode(record: &Record, key: &str, seal: Option<&Seal>) -> Result<Vec<u8>, LedgerError> {
    let head = vec![VERSION, u8::from(seal.is_some())];
    let mut bytes = postcard::to_extend(record, head).map_err(|_| LedgerError::Unreadable("cannot be written"))?;
    if let Some(seal) = seal {
        let tag = seal.over(key, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag);
    }
    if bytes.len() > MAX_RECORD {
        return Err(LedgerError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Reads the bytes that stand under a key.
///
/// # Errors
/// When they are of a newer version, of another program, cut, or not authentic. That is never the same as a miss.
pub(crate) fn decode(bytes: &[u8], key: &str, seal: Option<&Seal>) -> Result<Record, LedgerError> {
    let [version, sealed, rest @ ..] = bytes else { return Err(LedgerError::Unreadable("is cut short")) };
    match *version {
        VERSION => {}
        newer if newer > VERSION && newer < b' ' => return Err(LedgerError::Newer { version: newer }),
        _ => return Err(LedgerError::Unreadable("is not one of this crate's")),
    }
    let body = match (seal, *sealed) {
        (None, 0) => rest,
        (Some(seal), 1) => {
            let (body, tag) = rest
                .len()
                .checked_sub(SEAL_LEN)
                .and_then(|at| rest.split_at_checked(at))
                .ok_or(LedgerError::Unreadable("is cut short"))?;
            let signed = bytes.get(..bytes.len().saturating_sub(SEAL_LEN)).unwrap_or_default();
            let authentic = seal.over(key, signed).verify_slice(tag);
            authentic.map_err(|_| LedgerError::Unreadable("is not authentic"))?;
            body
        }
        (None, 1) => return Err(LedgerError::Unreadable("is authenticated; set the same `record_key`")),
        (Some(_), 0) => return Err(LedgerError::Unreadable("is not authenticated, and `record_key` is set")),
        _ => return Err(LedgerError::Unreadable("is not one of this crate's")),
    };
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Ok(record),
        _ => Err(LedgerError::Unreadable("is cut short or damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            state: State::Settled,
            nonce: Nonce([7; 16]),
            marks: Some(Nonce([9; 16])),
            ttl_ms: 86_400_000,
            lease_ms: 155_000,
            payload: vec![0, 255, 13, 10],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let seal = Seal::new(&[1; 32]);
        for seal in [None, Some(&seal)] {
            let bytes = encode(&record(), "k", seal).unwrap();
            assert_eq!(decode(&bytes, "k", seal), Ok(record()));
        }
    }

    #[test]
    fn a_damaged_foreign_or_cut_record_is_an_error_and_never_a_miss() {
        let bytes = encode(&record(), "k", None).unwrap();
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], "k", None).is_err(), "cut at {cut}");
        }
        for foreign in [&b""[..], b"OK", b"{}", b"[1]", b"1", &[0, 0], &[VERSION, 7], &[VERSION, 0, 9, 9]] {
            assert!(matches!(decode(foreign, "k", None), Err(LedgerError::Unreadable(_))), "{foreign:?}");
        }
        let longer = [&*bytes, b"x"].concat();
        assert!(decode(&longer, "k", None).is_err());
    }

    #[test]
    fn a_newer_version_is_told_from_garbage() {
        let mut bytes = encode(&record(), "k", None).unwrap();
        bytes[0] = VERSION + 1;
        assert_eq!(decode(&bytes, "k", None), Err(LedgerError::Newer { version: VERSION + 1 }));
    }

    #[test]
    fn a_sealed_record_holds_at_its_place_and_with_its_key_only() {
        let (seal, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        let bytes = encode(&record(), "k", Some(&seal)).unwrap();
        assert!(decode(&bytes, "elsewhere", Some(&seal)).is_err());
        assert!(decode(&bytes, "k", Some(&other)).is_err());
        assert!(decode(&bytes, "k", None).is_err());
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(decode(&forged, "k", Some(&seal)).is_err(), "byte {at}");
        }
        assert!(decode(&encode(&record(), "k", None).unwrap(), "k", Some(&seal)).is_err());
    }

    #[test]
    fn a_record_has_a_largest_size() {
        let large = Record { payload: vec![0; MAX_RECORD], ..record() };
        assert!(matches!(encode(&large, "k", None), Err(LedgerError::TooLarge { .. })));
    }
}
