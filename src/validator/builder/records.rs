//! The settings of what records look like.

use crate::accessors::setters;
use crate::ledger::{Codec, RecordKind, Release, Seal};
use crate::settings::build_error::BuildError;

use super::ValidatorBuilder;

/// What records look like.
#[derive(Debug, Default)]
pub(super) struct RecordSettings {
    keys: Option<Vec<Seal>>,
    release: Option<Box<str>>,
    unsigned: Vec<RecordKind>,
}

impl ValidatorBuilder {
    setters! {
        /// Authenticates every record with HMAC-SHA-256, so that who can write to the store cannot forge facts.
        /// Default: none.
        ///
        /// One to four keys: the first one signs, and records signed with any of them are accepted. All processes need
        /// the same keys; a record signed with another or none is unreadable, which is an error and never a miss. To
        /// change the key takes three deploys, each to every process before the next:
        ///
        /// | deploy | keys | |
        /// |---|---|---|
        /// | 1 | `[old, new]` | every process accepts the new key |
        /// | 2 | `[new, old]` | the new key signs |
        /// | 3 | `[new]` | once the longest retention has passed since the second one: 400 days for redemptions by default |
        ///
        /// It does not stop the replay: who can write to the store can put back an authentic record that stood at the
        /// same place before, such as one from before a release or a refund.
        pub fn record_keys(mut self, keys: impl IntoIterator<Item = [u8; 32]>) =>
            self.records.keys = Some(keys.into_iter().map(|key| Seal::new(&key)).collect());

        /// Accepts records of these kinds without a seal, beside those that [`record_keys`](Self::record_keys) signs.
        /// Default: none.
        ///
        /// For a store that holds records from before there were keys. First the keys are set together with this,
        /// everywhere; once the retention of a kind has passed, its records are all signed, and it is taken off: 24 h
        /// for facts by default, 400 days for payments and orders. Until then who can write to the store can forge
        /// records of these kinds, and [health](crate::Validator::health) is degraded and says for how long this
        /// process has accepted them.
        pub fn accept_unsigned_records(mut self, kinds: impl IntoIterator<Item = RecordKind>) =>
            self.records.unsigned = kinds.into_iter().collect();

        /// Writes records as an earlier release does, such as `"0.1"`. Default: as this one does.
        ///
        /// For the first half of a deploy. A process of the earlier release refuses what it does not know, so a deploy
        /// with a change of records is two: first everywhere this release with the earlier one named here, then
        /// without. This release reads what every earlier one wrote, and writes as 0.1 does.
        pub fn write_records_of(mut self, release: impl Into<Box<str>>) => self.records.release = Some(release.into());
    }
}

impl RecordSettings {
    /// Checks them.
    pub(super) fn codec(&self) -> Result<Codec, BuildError> {
        BuildError::check_record_keys(self.keys.as_deref())?;
        let keys = self.keys.clone().unwrap_or_default();
        let release = match &self.release {
            None => Release::default(),
            Some(name) => Release::named(name)
                .ok_or_else(|| BuildError::out_of_range("write_records_of", format!("{name:?}"), Release::NAMES))?,
        };
        if keys.is_empty() && !self.unsigned.is_empty() {
            let kinds = self.unsigned.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
            return Err(BuildError::out_of_range("accept_unsigned_records", kinds, "empty without `record_keys`"));
        }
        Ok(Codec::new(keys, release, self.unsigned.clone()))
    }
}
