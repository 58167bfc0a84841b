//! The bytes of an entry: a value with its times and the generations that it counts with, and who failed to load it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Held, LedgerError, Nonce, Versioned, millis};

use super::pack::unpacked;

/// What the record of an entry says. Claims say it too: what they load anew is served meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryPayload {
    pub(super) stored: Option<StoredValue>,
    /// The caches whose loaders failed one after the other, in their order.
    pub(super) failed_by: Vec<Nonce>,
    /// How long before it was written the claim was made: renewed, it is older than its record.
    pub(super) claimed_ms: u64,
}

impl Versioned<'_> for EntryPayload {}

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredValue {
    /// How long before it was written its load began.
    pub(super) age_ms: u64,
    /// From the beginning of its load, as the next one.
    pub(super) fresh_ms: u64,
    pub(super) kept_ms: u64,
    /// Which loader brought it.
    pub(super) origin: Box<str>,
    pub(super) is_absent: bool,
    /// What it was tagged with, and the generation of each tag at that time. The first two are all and its space.
    pub(super) generations: Vec<([u8; 32], Nonce)>,
    /// The length of the body before it was compressed, if it was.
    pub(super) packed_from: Option<u32>,
    /// The value as JSON, as LZ4 makes it shorter where it was compressed.
    #[serde(with = "crate::ledger::octets")]
    pub(super) body: Vec<u8>,
}

impl StoredValue {
    /// What it can be invalidated by.
    pub(super) fn tags(&self) -> impl Iterator<Item = (Fingerprint, Nonce)> {
        self.generations.iter().map(|(tag, generation)| (Fingerprint::from_bytes(*tag), *generation))
    }

    /// Its length as JSON.
    pub(super) fn len(&self) -> usize {
        self.packed_from.and_then(|from| usize::try_from(from).ok()).unwrap_or(self.body.len())
    }

    /// The value.
    pub(super) fn value<V: DeserializeOwned>(&self) -> Result<V, DoesNotReadBack> {
        match self.packed_from {
            None => read(&self.body),
            Some(from) => read(&unpacked(&self.body, from).ok_or(DoesNotReadBack { bytes: 0 })?),
        }
    }
}

/// What the record of a tag says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// The generation that the record renews. Without one, the record's own nonce is the generation.
    ///
    /// It is drawn, and not counted: a counter that came back at zero would revive what was invalidated. Of two tries of one
    /// claim each has a nonce of its own, so that the first, made late, revives nothing either.
    pub(super) renews: Option<Nonce>,
    /// How long before it was written the generation began: a record that is only renewed is no younger for it.
    pub(super) age_ms: u64,
}

impl Generation {
    pub(super) fn id_of(held: &Held) -> Result<Nonce, LedgerError> {
        let generation: Self = held.payload("is no generation of a tag")?;
        Ok(generation.renews.unwrap_or(held.record.nonce))
    }

    /// How long ago the generation began, by the store's clock.
    pub(super) fn age_of(held: &Held) -> Result<Duration, LedgerError> {
        let generation: Self = held.payload("is no generation of a tag")?;
        Ok(time(generation.age_ms).saturating_add(held.age))
    }

    /// What a renewal of the record says.
    pub(super) fn renewal_of(held: &Held) -> Result<Self, LedgerError> {
        Ok(Self { renews: Some(Self::id_of(held)?), age_ms: millis(Self::age_of(held)?) })
    }
}

impl Versioned<'_> for Generation {}

/// A value as JSON.
#[derive(Debug, PartialEq)]
pub(super) struct Encoded {
    pub(super) body: Vec<u8>,
    pub(super) is_absent: bool,
}

/// A set of two that reads in the same order so often is one in 32,000: it is served then, and not stored.
const READINGS: usize = 16;

/// All that postcard writes of `None`.
const NONE: u8 = 0;

/// A value cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DoesNotReadBack {
    /// As far as it could be written: it takes as much of memory all the same.
    pub(super) bytes: usize,
}

impl Encoded {
    /// Writes a value, and reads it back: what reads otherwise would be another value for the next process.
    pub(super) fn of<V: Serialize + DeserializeOwned>(value: &V) -> Result<Self, DoesNotReadBack> {
        let encoded = Self::written(value)?;
        let unlike = DoesNotReadBack { bytes: encoded.body.len() };
        let again = || Self::written(&read::<V>(&encoded.body)?).map_err(|_| unlike);
        let first = again()?;
        if encoded.is_absent != first.is_absent {
            return Err(unlike);
        }
        let plain = |value| value;
        if is_same_json(&encoded.body, &first.body, plain) {
            return Ok(encoded);
        }
        // A set has another order whenever it is read; a list that reads back in another order is another list.
        let is_set =
            || (1..READINGS).any(|_| again().is_ok_and(|again| !is_same_json(&again.body, &first.body, plain)));
        let is_same = is_same_json(&encoded.body, &first.body, in_order) && is_set();
        is_same.then_some(encoded).ok_or(unlike)
    }

    fn written(value: &impl Serialize) -> Result<Self, DoesNotReadBack> {
        let mut body = Vec::new();
        serde_json::to_writer(&mut body, value).map_err(|_| DoesNotReadBack { bytes: body.len() })?;
        // JSON writes `()`, `Some(None)` and a number that is none as it writes `None`; postcard does not.
        let is_none = || postcard::to_slice(value, &mut [0; 2]).is_ok_and(|bytes| *bytes == [NONE]);
        Ok(Self { is_absent: body == b"null" && is_none(), body })
    }
}

/// Reads a value.
fn read<V: DeserializeOwned>(body: &[u8]) -> Result<V, DoesNotReadBack> {
    serde_json::from_slice(body).map_err(|_| DoesNotReadBack { bytes: body.len() })
}

/// Whether two texts say the same once each was put into an order. The members of objects have none.
fn is_same_json(one: &[u8], other: &[u8], order: impl Fn(Value) -> Value) -> bool {
    let ordered = |text: &[u8]| serde_json::from_slice(text).map(&order);
    one == other || matches!((ordered(one), ordered(other)), (Ok(one), Ok(other)) if one == other)
}

/// The same with the elements of lists in the order of their texts.
fn in_order(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<_> = elements.into_iter().map(in_order).collect();
            elements.sort_by_cached_key(ToString::to_string);
            Value::Array(elements)
        }
        Value::Object(members) => Value::Object(members.into_iter().map(|(name, it)| (name, in_order(it))).collect()),
        plain => plain,
    }
}

/// A length of time from a record.
pub(super) const fn time(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    use crate::ledger::golden::is_golden;
    use crate::ledger::{RecordKind, State};

    /// A list that reads back in another order.
    #[derive(Serialize, Deserialize)]
    #[serde(from = "Vec<u32>")]
    struct Sorted(Vec<u32>);

    impl From<Vec<u32>> for Sorted {
        fn from(mut list: Vec<u32>) -> Self {
            list.sort_unstable();
            Self(list)
        }
    }

    fn is_absent<V: Serialize + DeserializeOwned>(value: &V) -> Option<bool> {
        Encoded::of(value).ok().map(|encoded| encoded.is_absent)
    }

    #[test]
    fn none_is_absent_and_nothing_else_is() {
        assert_eq!(is_absent(&None::<u32>), Some(true));
        assert_eq!([is_absent(&Some(1)), is_absent(&())], [Some(false), Some(false)]);
        assert_eq!(is_absent(&HashMap::from([("a".to_owned(), None::<u32>)])), Some(false));
    }

    #[test]
    fn what_does_not_read_back_is_not_stored() {
        assert_eq!([is_absent(&f64::NAN), is_absent(&Some(None::<u32>)), is_absent(&Some(()))], [None; 3]);
        for elements in [2, 50] {
            let set: HashSet<u32> = (0..elements).collect();
            assert_eq!(is_absent(&set), Some(false), "a set is written in any order");
        }
        assert_eq!(is_absent(&(0..50).map(|key| (key, key)).collect::<HashMap<u32, u32>>()), Some(false));
        assert_eq!([is_absent(&Sorted(vec![1, 2])), is_absent(&Sorted(vec![2, 1]))], [Some(false), None]);
        for number in [0.1 + 0.2, f64::MIN_POSITIVE, 1e300, 8.41] {
            assert_eq!(read::<f64>(&Encoded::of(&number).unwrap().body), Ok(number));
        }
    }

    #[test]
    fn golden_files_hold_what_is_written_of_entries_and_tags() {
        let nonce = |byte| Nonce::of([byte; 16]);
        let stored = StoredValue {
            age_ms: 40,
            fresh_ms: 300_000,
            kept_ms: 2_100_000,
            origin: "primary".into(),
            is_absent: false,
            generations: vec![([1; 32], nonce(2)), ([3; 32], nonce(4))],
            packed_from: None,
            body: br#"{"amount":1999}"#.to_vec(),
        };
        let absent = StoredValue { is_absent: true, body: b"null".to_vec(), packed_from: Some(4), ..stored.clone() };
        let payload = |stored, failed_by, claimed_ms| EntryPayload { stored, failed_by, claimed_ms };
        for (variant, state, payload) in [
            ("value", State::Settled, payload(Some(stored.clone()), Vec::new(), 0)),
            ("absent", State::Settled, payload(Some(absent), Vec::new(), 0)),
            ("claimed", State::Claimed, payload(None, Vec::new(), 1_500)),
            ("claimed_with_value", State::Claimed, payload(Some(stored), vec![nonce(5)], 0)),
            ("failed", State::Failed, payload(None, vec![nonce(5), nonce(6)], 0)),
        ] {
            is_golden(RecordKind::Cache, 1, variant, state, false, &payload);
        }
        let renewed = Generation { renews: Some(nonce(7)), age_ms: 60_000 };
        for (variant, generation) in [("begun", Generation::default()), ("renewed", renewed)] {
            is_golden(RecordKind::CacheTag, 1, variant, State::Settled, false, &generation);
        }
    }
}
