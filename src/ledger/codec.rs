//! Records as bytes, protected against damage and, with a key, against forgery.

use std::time::Duration;

use tokio::time::Instant;

use crate::lock::Lock;

use super::error::LedgerError;
use super::key::Key;
use super::kind::{RecordKind, Release};
use super::record::Record;
use super::seal::{SEAL_LEN, Seal};

/// The version of the layout, which all kinds share.
const FORMAT: u8 = 1;

const CHECKSUM_LEN: usize = 4;

/// Room for all of a record but its payload and tail, so that its bytes are allocated once.
const MOST_FIXED: usize = 64 + SEAL_LEN;

/// How a record ends.
const WITH_CHECKSUM: u8 = 0;
const WITH_SEAL: u8 = 1;

/// How a process writes records, and which it accepts.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    /// The first one signs, and all are accepted.
    keys: Vec<Seal>,
    release: Release,
    /// The kinds whose records need no seal, although there are keys.
    unsigned: Vec<RecordKind>,
    /// When this process began to accept those.
    since: Option<Instant>,
    /// How many records no key opened, and since when, in the order of all kinds.
    not_opened: Lock<[Option<(u64, Instant)>; RecordKind::ALL.len()]>,
}

impl Codec {
    pub(crate) fn new(keys: Vec<Seal>, release: Release, unsigned: Vec<RecordKind>) -> Self {
        let since = (!unsigned.is_empty()).then(Instant::now);
        Self { keys, release, unsigned, since, ..Self::default() }
    }

    /// Whether there may be records of a kind from before there were keys. The canary is written by who writes the others.
    fn needs_no_seal(&self, kind: RecordKind) -> bool {
        self.unsigned.contains(&kind) || (kind == RecordKind::Canary && !self.unsigned.is_empty())
    }

    /// The kinds whose records need no seal, although there are keys, and for how long this process has accepted those.
    pub(crate) fn unsigned(&self) -> Option<(&[RecordKind], Duration)> {
        self.since.map(|since| (&*self.unsigned, since.elapsed()))
    }

    /// How many records of each kind no key opened, and for how long there have been any, where there were.
    pub(crate) fn not_opened(&self) -> impl Iterator<Item = (RecordKind, u64, Duration)> {
        let not_opened = *self.not_opened.lock();
        let of_kind = |(kind, found): (RecordKind, Option<(u64, Instant)>)| {
            found.map(|(reads, since)| (kind, reads, since.elapsed()))
        };
        RecordKind::ALL.into_iter().zip(not_opened).filter_map(of_kind)
    }

    /// Counts a record that no key opens.
    fn locked(&self, kind: RecordKind, why: &'static str) -> LedgerError {
        if let Some((_, found)) =
            RecordKind::ALL.iter().zip(self.not_opened.lock().iter_mut()).find(|(of, _)| **of == kind)
        {
            let (reads, since) = found.unwrap_or_else(|| (0, Instant::now()));
            *found = Some((reads.saturating_add(1), since));
        }
        LedgerError::Locked(why)
    }

    /// The version in which a kind of record is written.
    pub(super) fn version(&self, kind: RecordKind) -> u8 {
        self.release.writes(kind)
    }

    /// Writes a record as bytes for the place where it will stand.
    ///
    /// # Errors
    /// When it is larger than a record of its kind may be.
    pub(super) fn encode(&self, record: &Record, key: &Key) -> Result<Vec<u8>, LedgerError> {
        let signer = self.keys.first();
        let length = MOST_FIXED.saturating_add(record.payload.len()).saturating_add(record.tail.len());
        let mut head = Vec::with_capacity(length);
        head.extend([FORMAT, if signer.is_some() { WITH_SEAL } else { WITH_CHECKSUM }]);
        let mut bytes = postcard::to_extend(record, head).map_err(|_| LedgerError::Unreadable("cannot be written"))?;
        bytes.extend_from_slice(&record.tail);
        match signer {
            Some(signer) => bytes.extend_from_slice(&signer.of(&key.text, &bytes)),
            None => bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes()),
        }
        let most = key.kind.layout().most_bytes;
        if bytes.len() > most {
            return Err(LedgerError::TooLarge { bytes: bytes.len(), most });
        }
        Ok(bytes)
    }

    /// Reads the bytes that stand at a place.
    ///
    /// # Errors
    /// When they are of a newer version, of another program, cut, damaged, or not authentic. That is never the same as a miss.
    pub(super) fn decode(&self, bytes: &[u8], key: &Key) -> Result<Record, LedgerError> {
        let body = self.open(bytes, key)?;
        let (mut record, tail): (Record, _) =
            postcard::take_from_bytes(body).map_err(|_| LedgerError::Unreadable("is cut short or damaged"))?;
        let reads = key.kind.layout().reads;
        if record.version > *reads.end() {
            return Err(LedgerError::Newer { version: record.version });
        }
        if !reads.contains(&record.version) {
            return Err(LedgerError::Unreadable("is of a version that no release wrote"));
        }
        record.tail = tail.to_vec();
        Ok(record)
    }

    /// What stands between the first two bytes and the seal or checksum, once that has shown that it is whole.
    fn open<'b>(&self, bytes: &'b [u8], key: &Key) -> Result<&'b [u8], LedgerError> {
        let [format, end, ..] = bytes else { return Err(LedgerError::Unreadable("is cut short")) };
        match *format {
            FORMAT => {}
            newer if newer > FORMAT && newer < b' ' => return Err(LedgerError::Newer { version: newer }),
            _ => return Err(LedgerError::Unreadable("is not one of this crate's")),
        }
        let end_len = match (*end, self.keys.is_empty()) {
            (WITH_CHECKSUM, true) => CHECKSUM_LEN,
            (WITH_SEAL, false) => SEAL_LEN,
            (WITH_CHECKSUM, false) if self.needs_no_seal(key.kind) => CHECKSUM_LEN,
            (WITH_SEAL, true) => return Err(self.locked(key.kind, "is authenticated; set the same `record_keys`")),
            (WITH_CHECKSUM, false) => {
                return Err(self.locked(key.kind, "is not authenticated, and `record_keys` is set"));
            }
            _ => return Err(LedgerError::Unreadable("is not one of this crate's")),
        };
        let cut = LedgerError::Unreadable("is cut short");
        let at = bytes.len().checked_sub(end_len);
        let (whole, end) = at.and_then(|at| bytes.split_at_checked(at)).ok_or(cut.clone())?;
        if end_len == CHECKSUM_LEN {
            if crc32fast::hash(whole).to_le_bytes() != *end {
                return Err(LedgerError::Unreadable("is cut short or damaged"));
            }
        } else if !self.keys.iter().any(|key_| key_.is_of(end, &key.text, whole)) {
            return Err(self.locked(key.kind, "is not authentic"));
        }
        whole.get(2..).ok_or(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Nonce, State};

    fn record() -> Record {
        let text = "facts of a payment".as_bytes().to_vec();
        let (nonce, marks) = (Nonce::of([7; 16]), Some(Nonce::of([9; 16])));
        let (state, ttl_ms, lease_ms) = (State::Settled, 86_400_000, 155_000);
        Record { version: 1, state, nonce, marks, ttl_ms, lease_ms, payload: text, tail: Vec::new() }
    }

    fn place(text: &str) -> Key {
        Key { text: text.into(), kind: RecordKind::Facts, version: 1 }
    }

    fn with(keys: &[u8]) -> Codec {
        Codec::new(keys.iter().map(|key| Seal::new(&[*key; 32])).collect(), Release::Current, Vec::new())
    }

    #[test]
    fn what_is_written_is_read_with_its_tail() {
        for (codec, tail) in [(with(&[]), &b""[..]), (with(&[1]), b"x"), (with(&[]), b"later")] {
            let record = Record { tail: tail.to_vec(), ..record() };
            let bytes = codec.encode(&record, &place("k")).unwrap();
            assert_eq!(codec.decode(&bytes, &place("k")), Ok(record));
        }
    }

    #[test]
    fn a_damaged_foreign_or_cut_record_is_an_error_and_never_a_miss() {
        let codec = with(&[]);
        let bytes = codec.encode(&record(), &place("k")).unwrap();
        for cut in 0..bytes.len() {
            assert!(codec.decode(&bytes[..cut], &place("k")).is_err(), "cut at {cut}");
        }
        for foreign in [&b""[..], b"OK", b"{}", b"[1]", b"1", &[0, 0], &[FORMAT, 7], &[FORMAT, 0, 9, 9]] {
            assert!(matches!(codec.decode(foreign, &place("k")), Err(LedgerError::Unreadable(_))), "{foreign:?}");
        }
        let longer = [&*bytes, b"x"].concat();
        assert!(codec.decode(&longer, &place("k")).is_err());
    }

    #[test]
    fn a_newer_layout_and_a_newer_kind_are_told_from_garbage() {
        for codec in [with(&[]), with(&[1])] {
            let mut bytes = codec.encode(&record(), &place("k")).unwrap();
            bytes[0] = FORMAT + 1;
            assert_eq!(codec.decode(&bytes, &place("k")), Err(LedgerError::Newer { version: FORMAT + 1 }));
            let newer = codec.encode(&Record { version: 3, ..record() }, &place("k")).unwrap();
            assert_eq!(codec.decode(&newer, &place("k")), Err(LedgerError::Newer { version: 3 }));
            let unwritten = codec.encode(&Record { version: 0, ..record() }, &place("k")).unwrap();
            assert!(matches!(codec.decode(&unwritten, &place("k")), Err(LedgerError::Unreadable(_))));
        }
    }

    #[test]
    fn a_sealed_record_holds_at_its_place_and_with_its_key_only() {
        let codec = with(&[1]);
        let bytes = codec.encode(&record(), &place("k")).unwrap();
        assert!(codec.decode(&bytes, &place("elsewhere")).is_err());
        assert!(with(&[2]).decode(&bytes, &place("k")).is_err());
        assert!(with(&[]).decode(&bytes, &place("k")).is_err());
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(codec.decode(&forged, &place("k")).is_err(), "byte {at}");
        }
        assert!(codec.decode(&with(&[]).encode(&record(), &place("k")).unwrap(), &place("k")).is_err());
    }

    #[test]
    fn the_first_key_signs_and_every_key_opens() {
        let bytes = with(&[2, 1]).encode(&record(), &place("k")).unwrap();
        assert_eq!(with(&[2]).encode(&record(), &place("k")).unwrap(), bytes);
        for accepting in [&[1, 2][..], &[2], &[3, 4, 1, 2]] {
            assert_eq!(with(accepting).decode(&bytes, &place("k")), Ok(record()), "{accepting:?}");
        }
        assert!(with(&[1, 3, 4]).decode(&bytes, &place("k")).is_err());
    }

    #[test]
    fn the_checksum_is_the_one_that_others_count() {
        assert_eq!(crc32fast::hash(b""), 0);
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32fast::hash(b"The quick brown fox jumps over the lazy dog"), 0x414F_A339);
    }

    #[test]
    fn a_record_has_a_largest_size() {
        let most = RecordKind::Facts.layout().most_bytes;
        let large = Record { payload: vec![0; most], ..record() };
        assert!(matches!(with(&[]).encode(&large, &place("k")), Err(LedgerError::TooLarge { .. })));
    }
}
