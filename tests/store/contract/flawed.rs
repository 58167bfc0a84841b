//! A store that keeps the contract but for one flaw.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::store::{
    Claim, Durability, Extras, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap, ttl_millis,
};
use tokio::task::yield_now;
use tokio::time::Instant;

/// One way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    ClaimDoesNothing,
    ClaimOverwrites,
    ClaimSaysWhatItWanted,
    ClaimIsGetThenSet,
    ClaimProlongs,
    ClaimSaysTheWholeTtl,
    HeldForTheSameBytesIsClaimed,
    ReplaceDoesNothing,
    ReplaceLosesOneWrite,
    ReplaceIgnoresExpected,
    ReplaceCreates,
    ReplaceKeepsTtl,
    ReplaceIsGetThenSet,
    LostSwapsSayNothing,
    LostSwapsSayWhatWasExpected,
    RemoveIgnoresExpected,
    RemoveDoesNothing,
    RemoveHappensTwice,
    RemoveIsGetThenDelete,
    RemoveLeavesAnEmptyRecord,
    ReadsFromReplica,
    TtlInSecondsRoundedUp,
    TtlInSecondsCut,
    TtlOfMillisIsSeconds,
    TtlIsForEver,
    TtlBelowOneMillisIsForEver,
    TtlIsHalved,
    TtlZeroIsADay,
    TtlIsNotLimited,
    ReplaceTakesAnyTtl,
    EndedIsHeldForClaim,
    EndedIsSwapped,
    EndedIsRemoved,
    OldTtlEndsTheNewRecord,
    OldTtlEndsTheNextRecord,
    EmptyIsAbsent,
    EmptyExpectedIsAnything,
    NilIsAbsent,
    ValuesAreTrimmed,
    ValuesAreText,
    ValuesAreNumbers,
    ValuesAreCut,
    ComparesToTheFirstNul,
    ComparesLengths,
    ComparesText,
    KeysAreFolded,
    KeysAreTrimmed,
    KeysAreCut,
    KeysEndAtNul,
    RemovesByPattern,
    DroppedClaimLeavesHalf,
    DroppedClaimsAnswerIsTheNextOnes,
    DroppedReplaceLeavesNothing,
    DurabilityChanges,
    RestartLossIsSaidTwice,
    InspectFails,
    ClaimNeverAnswers,
    ClaimPanicsInARace,
    ExtrasAreAnothers,
    OneSumIsNotKept,
    AnEmptyRecordIsZero,
}

/// A plain store with one flaw.
#[derive(Clone, Debug)]
pub(crate) struct Flawed {
    flaw: Flaw,
    records: Arc<Mutex<HashMap<String, Record>>>,
    /// The ends of records that were replaced or removed.
    old_ends: Arc<Mutex<HashMap<String, Instant>>>,
    /// What the replica still says.
    replica: Arc<Mutex<HashMap<String, Record>>>,
    reads: Arc<AtomicU64>,
    misdelivered: Arc<Mutex<Option<Claim>>>,
}

#[derive(Clone, Debug)]
struct Record {
    bytes: Vec<u8>,
    end: Instant,
    ttl: Duration,
}

impl Flawed {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let reads = Arc::default();
        let (records, old_ends, replica) = (Arc::default(), Arc::default(), Arc::default());
        Self { flaw, records, old_ends, replica, reads, misdelivered: Arc::default() }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key(&self, key: &str) -> String {
        match self.flaw {
            Flaw::KeysAreFolded => key.to_lowercase(),
            Flaw::KeysAreTrimmed => key.trim().to_owned(),
            Flaw::KeysAreCut => key.chars().take(255).collect(),
            Flaw::KeysEndAtNul => key.split('\0').next().unwrap().to_owned(),
            _ => key.to_owned(),
        }
    }

    fn value(&self, value: &[u8]) -> Vec<u8> {
        match self.flaw {
            Flaw::ValuesAreTrimmed => value.trim_ascii().to_vec(),
            Flaw::ValuesAreText => String::from_utf8_lossy(value).into_owned().into_bytes(),
            Flaw::ValuesAreNumbers => {
                let number = str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
                number.map_or_else(|| value.to_vec(), |number| number.to_string().into_bytes())
            }
            Flaw::ValuesAreCut => value.iter().copied().take(512 * 1024).collect(),
            _ => value.to_vec(),
        }
    }

    fn same(&self, stored: &[u8], expected: &[u8]) -> bool {
        match self.flaw {
            Flaw::ComparesToTheFirstNul => {
                stored.split(|byte| *byte == 0).next() == expected.split(|byte| *byte == 0).next()
            }
            Flaw::ComparesLengths => stored.len() == expected.len(),
            Flaw::ComparesText => String::from_utf8_lossy(stored) == String::from_utf8_lossy(expected),
            Flaw::EmptyExpectedIsAnything => expected.is_empty() || stored == expected,
            _ => stored == expected,
        }
    }

    fn ttl(&self, ttl: Duration) -> Result<Duration, StoreError> {
        let unlimited = self.has(Flaw::TtlIsNotLimited) && !ttl.is_zero();
        if ttl.is_zero() && self.has(Flaw::TtlZeroIsADay) {
            return Ok(Duration::from_secs(24 * 60 * 60));
        }
        let millis = if unlimited { u64::try_from(ttl.as_millis()).unwrap_or(1 << 40) } else { ttl_millis(ttl)? };
        let ttl = Duration::from_millis(millis);
        Ok(match self.flaw {
            Flaw::TtlInSecondsRoundedUp => Duration::from_secs(millis.div_ceil(1000)),
            Flaw::TtlInSecondsCut => Duration::from_secs((millis / 1000).max(1)),
            Flaw::TtlOfMillisIsSeconds => Duration::from_secs(millis),
            Flaw::TtlIsHalved => ttl / 2,
            Flaw::TtlBelowOneMillisIsForEver if millis == 1 => Duration::from_secs(1 << 30),
            _ => ttl,
        })
    }

    fn record(&self, value: &[u8], ttl: Duration) -> Result<Record, StoreError> {
        let ttl = self.ttl(ttl)?;
        Ok(Record { bytes: self.value(value), end: Instant::now() + ttl, ttl })
    }

    /// The record under a key; `ended` shows it even after its time.
    fn look(&self, key: &str, ended: bool) -> Option<Record> {
        let now = Instant::now();
        let mut records = self.records.lock().unwrap();
        if self.old_ends.lock().unwrap().get(key).is_some_and(|end| *end <= now) {
            self.old_ends.lock().unwrap().remove(key);
            records.remove(key);
        }
        let record = records.get(key)?;
        let for_ever = self.has(Flaw::TtlIsForEver);
        if (self.has(Flaw::EmptyIsAbsent) && record.bytes.is_empty())
            || (self.has(Flaw::NilIsAbsent) && record.bytes == b"nil")
            || (record.end <= now && !ended && !for_ever)
        {
            return None;
        }
        Some(record.clone())
    }

    fn put(&self, key: String, record: Record) {
        let before = self.records.lock().unwrap().insert(key.clone(), record);
        if let Some(before) = before {
            if self.has(Flaw::OldTtlEndsTheNewRecord) {
                self.old_ends.lock().unwrap().insert(key.clone(), before.end);
            }
            self.replica.lock().unwrap().insert(key, before);
        }
    }

    fn delete(&self, key: &str) {
        if self.has(Flaw::RemoveDoesNothing) {
            return;
        }
        let mut records = self.records.lock().unwrap();
        if self.has(Flaw::RemovesByPattern)
            && let Some(start) = key.strip_suffix('*')
        {
            records.retain(|other, _| !other.starts_with(start));
        } else if self.has(Flaw::RemoveLeavesAnEmptyRecord) {
            records.get_mut(key).unwrap().bytes.clear();
        } else if let Some(before) = records.remove(key)
            && self.has(Flaw::OldTtlEndsTheNextRecord)
        {
            self.old_ends.lock().unwrap().insert(key.to_owned(), before.end);
        }
    }

    fn stored(record: &Record) -> Stored {
        Stored { bytes: record.bytes.clone(), ttl_left: record.end.saturating_duration_since(Instant::now()) }
    }

    fn lost(&self, record: Option<Record>, expected: &[u8]) -> Swap {
        match (self.flaw, record) {
            (Flaw::LostSwapsSayNothing, _) => Swap::Lost(None),
            (Flaw::LostSwapsSayWhatWasExpected, Some(record)) => {
                Swap::Lost(Some(Stored { bytes: expected.to_vec(), ..Self::stored(&record) }))
            }
            (_, record) => Swap::Lost(record.as_ref().map(Self::stored)),
        }
    }
}

/// Spoils a record unless the call that made it is awaited to the end.
struct Spoiler<'s> {
    store: &'s Flawed,
    key: &'s str,
    done: bool,
}

impl Drop for Spoiler<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut records = self.store.records.lock().unwrap();
        match self.store.flaw {
            Flaw::DroppedClaimLeavesHalf => records.get_mut(self.key).unwrap().bytes.truncate(1000),
            Flaw::DroppedReplaceLeavesNothing => drop(records.remove(self.key)),
            _ => *self.store.misdelivered.lock().unwrap() = Some(Claim::Claimed),
        }
    }
}

impl Store for Flawed {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let key = self.key(key);
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        if self.has(Flaw::ReadsFromReplica)
            && reads % 32 == 31
            && let Some(stale) = self.replica.lock().unwrap().get(&key)
        {
            return Ok(Some(Self::stored(stale)));
        }
        Ok(self.look(&key, false).as_ref().map(Self::stored))
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let record = self.record(value, ttl)?;
        let key = self.key(key);
        if let Some(misdelivered) = self.misdelivered.lock().unwrap().take() {
            return Ok(misdelivered);
        }
        if self.has(Flaw::ClaimNeverAnswers) {
            return pending().await;
        }
        assert!(!(self.has(Flaw::ClaimPanicsInARace) && value.starts_with(b"racer")), "scripted");
        let held = self.look(&key, self.has(Flaw::EndedIsHeldForClaim));
        if self.has(Flaw::ClaimIsGetThenSet) {
            yield_now().await;
        }
        if self.has(Flaw::ClaimOverwrites) {
            self.put(key, record);
            return Ok(held.map_or(Claim::Claimed, |held| Claim::Held(Self::stored(&held))));
        }
        let Some(mut held) = held else {
            if self.has(Flaw::ClaimDoesNothing) {
                return Ok(Claim::Claimed);
            }
            self.put(key.clone(), record);
            if matches!(self.flaw, Flaw::DroppedClaimLeavesHalf | Flaw::DroppedClaimsAnswerIsTheNextOnes) {
                let mut spoiler = Spoiler { store: self, key: &key, done: false };
                yield_now().await;
                spoiler.done = true;
            }
            return Ok(Claim::Claimed);
        };
        match self.flaw {
            Flaw::ClaimProlongs => {
                held.end = record.end;
                self.put(key, held.clone());
            }
            Flaw::ClaimSaysTheWholeTtl => held.end = Instant::now() + held.ttl + Duration::from_secs(1),
            Flaw::ClaimSaysWhatItWanted => held.bytes = record.bytes,
            Flaw::HeldForTheSameBytesIsClaimed if held.bytes == record.bytes => return Ok(Claim::Claimed),
            Flaw::AnEmptyRecordIsZero if held.bytes.is_empty() && value == b"1" => {
                self.put(key, Record { bytes: b"0".to_vec(), ..held.clone() });
                held.bytes = b"0".to_vec();
            }
            _ => {}
        }
        Ok(Claim::Held(Self::stored(&held)))
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let forced = self.has(Flaw::ReplaceTakesAnyTtl) && ttl_millis(ttl).is_err();
        let ttl = if forced { Duration::from_secs(60) } else { ttl };
        let mut record = self.record(value, ttl)?;
        let key = self.key(key);
        let held = self.look(&key, self.has(Flaw::EndedIsSwapped));
        if self.has(Flaw::ReplaceIsGetThenSet) {
            yield_now().await;
        }
        let Some(held) = held else {
            if self.has(Flaw::ReplaceCreates) {
                self.put(key, record);
                return Ok(Swap::Swapped);
            }
            return Ok(Swap::Lost(None));
        };
        if !self.same(&held.bytes, expected) && !self.has(Flaw::ReplaceIgnoresExpected) {
            return Ok(self.lost(Some(held), expected));
        }
        if self.has(Flaw::ReplaceKeepsTtl) {
            record.end = held.end;
        }
        // Only the count of `NoSwapIsLost` gets that far.
        if self.has(Flaw::ReplaceDoesNothing) || (self.has(Flaw::ReplaceLosesOneWrite) && value == b"57") {
            return Ok(Swap::Swapped);
        }
        if self.has(Flaw::OneSumIsNotKept) && value == b"42" && expected == b"5" {
            return Ok(Swap::Swapped);
        }
        self.put(key.clone(), record);
        if self.has(Flaw::DroppedReplaceLeavesNothing) {
            let mut spoiler = Spoiler { store: self, key: &key, done: false };
            yield_now().await;
            spoiler.done = true;
        }
        Ok(Swap::Swapped)
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let key = self.key(key);
        let held = self.look(&key, self.has(Flaw::EndedIsRemoved));
        if self.has(Flaw::RemoveIsGetThenDelete) {
            yield_now().await;
        }
        let Some(held) = held else { return Ok(Swap::Lost(None)) };
        if !self.same(&held.bytes, expected) && !self.has(Flaw::RemoveIgnoresExpected) {
            return Ok(self.lost(Some(held), expected));
        }
        self.delete(&key);
        if self.has(Flaw::RemoveHappensTwice) {
            yield_now().await;
            self.delete(&key);
        }
        Ok(Swap::Swapped)
    }

    fn durability(&self) -> Durability {
        let best_effort = self.has(Flaw::DurabilityChanges) && self.reads.load(Ordering::Relaxed) > 0;
        Durability { shared: false, best_effort }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let is_flawed = self.has(Flaw::RestartLossIsSaidTwice);
        Ok(if is_flawed { RestartLoss::Nothing } else { RestartLoss::Unknown })
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        if self.has(Flaw::InspectFails) {
            return Err(StoreError::not_sent("scripted"));
        }
        Ok(Inspection::new("flawed", Duration::ZERO))
    }

    fn extras(&self) -> Extras {
        if self.has(Flaw::ExtrasAreAnothers) { MemoryStore::new().extras() } else { Extras::default() }
    }
}
