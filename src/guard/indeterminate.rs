//! What is indeterminate: operations, and requests, of which it is unknown whether they were executed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::accessors::getters;
use crate::account::{Account, DecidedOn, Index, Listing, OnList, Unlisted};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{LedgerError, RecordKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::job::OperationRecord;
use super::record::{Payload, Phase};

/// Names an operation without saying what it is: 43 characters of `A-Z a-z 0-9 - _`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationReference(Fingerprint);

impl OperationReference {
    pub(crate) fn new(digest: Fingerprint) -> Self {
        Self(digest)
    }

    pub(crate) fn digest(self) -> Fingerprint {
        self.0
    }
}

/// Reads a reference as it is shown.
impl FromStr for OperationReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidReference(()))?;
        let digest = bytes.try_into().map_err(|_| InvalidReference(()))?;
        Ok(Self(Fingerprint::from_bytes(digest)))
    }
}

/// A text that is no [`OperationReference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operation reference is 43 characters of base64url")]
pub struct InvalidReference(());

impl fmt::Display for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_text())
    }
}

/// As it is shown.
impl Serialize for OperationReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperationReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Debug for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An operation, or a request, of which it is unknown whether it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndeterminateOperation {
    tenant: Box<str>,
    name: Box<str>,
    reference: OperationReference,
    age: Duration,
    key_left: Option<Duration>,
}

impl IndeterminateOperation {
    getters! {
        /// Whose operation it is.
        pub fn tenant(&self) -> &str => &self.tenant;

        /// What it does: an operation's name, or a request's method and path, cut at 100 bytes.
        pub fn name(&self) -> &str => &self.name;

        /// What to give to [`resolve_reference`](crate::guard::Guard::resolve_reference), or to `Validator::resolve_request`.
        pub fn reference(&self) -> OperationReference => self.reference;

        /// How long it has been on the list, by the store's clock.
        pub fn age(&self) -> Duration => self.age;

        /// For how long the operation can still be run again under the provider's key, which makes that safe; `None` where
        /// nothing protects another run, and for requests. Afterwards only a person or the reconcile hook can tell.
        pub fn key_left(&self) -> Option<Duration> => self.key_left;
    }
}

/// What has to be looked into, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndeterminateList {
    operations: Vec<IndeterminateOperation>,
    not_listed: u64,
}

impl IndeterminateList {
    /// Goes through the list, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, IndeterminateOperation> {
        self.operations.iter()
    }

    getters! {
        /// Operations on the list.
        pub fn len(&self) -> usize => self.operations.len();

        /// Whether nothing has to be looked into.
        pub fn is_empty(&self) -> bool => self.operations.is_empty() && self.not_listed == 0;

        /// About how many more there are than the list has room for: it holds 2,000, and of one tenant's 1,000 unless
        /// [`max_indeterminate_per_tenant`](crate::ValidatorBuilder::max_indeterminate_per_tenant) says otherwise.
        ///
        /// They are listed as soon as there is room: when the process that found them resolves one of the others or
        /// reads the list, as for its health page; after that process has ended, when they are next run.
        pub fn not_listed(&self) -> u64 => self.not_listed;

        /// How long the oldest one has been on the list. Worth an alarm.
        pub fn oldest(&self) -> Option<Duration> => self.operations.first().map(IndeterminateOperation::age);

        /// About how many there are, those without a place on the list included.
        pub(crate) fn total(&self) -> u64 =>
            u64::try_from(self.operations.len()).unwrap_or(u64::MAX).saturating_add(self.not_listed);
    }
}

impl IndeterminateList {
    pub(crate) fn of((listed, not_listed): (Vec<OnList>, u64)) -> Self {
        let operation = |OnList { digest, tenant, name, age, key_left }| IndeterminateOperation {
            tenant,
            name,
            reference: OperationReference(digest),
            age,
            key_left,
        };
        Self { operations: listed.into_iter().map(operation).collect(), not_listed }
    }
}

impl<'l> IntoIterator for &'l IndeterminateList {
    type Item = &'l IndeterminateOperation;
    type IntoIter = std::slice::Iter<'l, IndeterminateOperation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The list of operations.
const OPERATIONS: Listing = Listing {
    kind: RecordKind::Operation,
    on: DecidedOn::Operation,
    purpose: "indeterminate",
    is_marked: |held| Ok(matches!(Payload::read(held)?.phase, Phase::Indeterminate | Phase::Reconciling)),
    backlog: |account| &account.backlog,
};

/// The list of operations of an account.
pub(super) fn operations(account: &Account, retention: Duration) -> Index<'_> {
    Index::new(account, &OPERATIONS, retention)
}

/// Puts an operation on the list, unless it is there.
pub(super) async fn list(place: &OperationRecord, key_left: Option<Duration>) -> Result<(), LedgerError> {
    let (tenant, name) = (place.operation.tenant().into(), place.operation.name().into());
    let unlisted = Unlisted { digest: place.digest, tenant, name, key_left };
    operations(&place.account, place.settings.write_retention).add(unlisted).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden_json;

    #[test]
    fn a_golden_file_holds_what_is_kept_of_references() {
        is_golden_json("operation_reference", &OperationReference::new(Fingerprint::from_bytes([0x44; 32])));
    }
}
