//! The records of aliases: which payment each stands for, and what it states itself.
//!
//! There is no lease, and no process waits for another's: it is read before the provider is asked, and written only where
//! still the same stands, so that what was forgotten meanwhile stays forgotten.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Contents, Held, Key, LedgerError, RecordKind, State, Versioned, millis};
use crate::moment::Moment;
use crate::payment::alias::{PaymentAlias, ResolvedAlias};
use crate::payment::judge::Rules;
use crate::provider::ProviderIdentity;

use super::{SharedFacts, covers, own_and_others};

/// So much longer than any look-up lasts a forgotten alias keeps its place, so that neither one that had begun before brings it
/// back, nor a writing of it that was long under way.
const VOID_MARGIN: Duration = Duration::from_secs(300);

/// What an alias stated, with how long before it was written it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AliasPayload {
    age_ms: u64,
    payment: Box<str>,
    /// The metadata keys that were kept. A reader who needs others knows nothing by this.
    keys: Vec<Box<str>>,
    states: PaymentAlias,
}

impl Versioned<'_> for AliasPayload {}

/// The place of an alias's record, as it was before the provider is asked.
pub(crate) struct AliasPlace {
    key: Key,
    held: Option<Held>,
    payload: Option<AliasPayload>,
}

impl SharedFacts {
    fn alias_key(&self, identity: &ProviderIdentity, alias: &PaymentId) -> Key {
        self.ledger.key(RecordKind::Alias, &identity.fingerprint("alias", &[alias.as_str()]))
    }

    /// Looks at the place of an alias.
    pub(crate) async fn alias(&self, alias: &PaymentId) -> Result<AliasPlace, LedgerError> {
        let key = self.alias_key(&self.identity, alias);
        let held = self.ledger.get(&key).await?;
        let settled = held.as_ref().filter(|held| held.record.state == State::Settled);
        let payload = settled.map(|held| held.payload("holds no alias")).transpose()?;
        Ok(AliasPlace { key, held, payload })
    }

    /// Writes what an alias states, where still the same stands as before it was asked for. False where it does not.
    pub(crate) async fn put_alias(
        &self,
        place: &AliasPlace,
        rules: &Rules,
        alias: &ResolvedAlias,
    ) -> Result<bool, LedgerError> {
        let payload = AliasPayload {
            age_ms: millis(alias.asked_at.age()),
            payment: alias.payment.as_str().into(),
            keys: own_and_others(rules, place.keys()),
            states: alias.states.clone(),
        };
        let contents = Contents {
            state: State::Settled,
            ttl: self.retention,
            lease: Duration::ZERO,
            payload: place.key.payload_of(&payload)?,
        };
        self.ledger.put(&place.key, place.held.as_ref(), contents).await
    }

    /// Forgets an alias of an account, and keeps look-ups of it under way anywhere from writing it.
    pub(crate) async fn forget_alias(&self, identity: &ProviderIdentity, alias: &PaymentId) -> Result<(), LedgerError> {
        let void_for = self.longest_look_up.saturating_add(VOID_MARGIN);
        self.ledger.void(&self.alias_key(identity, alias), void_for).await
    }
}

impl AliasPlace {
    /// The metadata keys that others have kept so far.
    pub(crate) fn keys(&self) -> &[Box<str>] {
        self.payload.as_ref().map_or(&[], |payload| &payload.keys)
    }

    /// The payment that the alias stands for, which never changes.
    pub(crate) fn payment(&self) -> Option<PaymentId> {
        PaymentId::parse(&self.payload.as_ref()?.payment).ok()
    }

    /// What the record says to a validator with these rules, and how long it still lives.
    pub(crate) fn known(&self, rules: &Rules) -> Option<(ResolvedAlias, Duration)> {
        let (held, payload) = self.held.as_ref().zip(self.payload.as_ref())?;
        let age = Duration::from_millis(payload.age_ms).saturating_add(held.age_of_contents());
        let asked_at = Moment::before(held.asked_at, age);
        let alias = ResolvedAlias { payment: self.payment()?, states: payload.states.clone(), asked_at };
        covers(&payload.keys, rules).then_some((alias, held.ttl_left()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::currency::Currency;
    use crate::ledger::golden::is_golden;
    use crate::payment::alias::AliasState;

    #[test]
    fn golden_files_hold_what_is_written_of_aliases() {
        let whole = PaymentAlias::new(AliasState::Complete)
            .with_amount(2_176, Currency::EUR)
            .with_amount(1_999, Currency::USD)
            .with_metadata("store_id", "store_42")
            .with_reference("6735");
        for (variant, states) in [("whole", whole), ("least", PaymentAlias::new(AliasState::Complete))] {
            let keys = vec!["store_id".into(), "order_id".into()];
            let payload = AliasPayload { age_ms: 700, payment: "pi_1".into(), keys, states };
            is_golden(RecordKind::Alias, 1, variant, State::Settled, false, &payload);
        }
    }
}
