//! The records of redemptions: where they stand, and what is read of them.

use std::time::Duration;

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Held, Key, Ledger, LedgerError, PairLedger, RecordKind, State};
use crate::provider::ProviderIdentity;

use super::error::RedeemError;
use super::receipt::{Owner, Receipt, Redemption};
use super::records::{owner_in, payer_in};
use super::rules::already_redeemed;

/// The order's record lives on a little, so that it never ends before the payment's.
const ORDER_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The records of redemptions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Books<'e> {
    pub(super) ledger: &'e Ledger,
    pub(super) identity: &'e ProviderIdentity,
    pub(super) retention: Duration,
}

impl Books<'_> {
    /// Refuses a store that may forget at a restart what is about to be written.
    pub(super) async fn check_restart(&self) -> Result<(), RedeemError> {
        match self.ledger.refused_loss().await? {
            Some(loss) => Err(RedeemError::RestartLoses { loss }),
            None => Ok(()),
        }
    }

    /// Where a payment's record stands.
    pub(super) fn payment_key(&self, digest: &Fingerprint) -> Key {
        self.ledger.key(RecordKind::Payment, digest)
    }

    /// Where it may stand from the time when the account was named in another way.
    pub(super) fn former_keys(&self, payment: &PaymentId) -> Vec<Key> {
        self.identity.former_redemptions(payment).iter().map(|digest| self.payment_key(digest)).collect()
    }

    /// Orders are the merchant's, whichever provider is paid through; test orders are none.
    pub(super) fn order_key(&self, owner: &Owner) -> Key {
        let mode = self.identity.mode().as_str();
        let parts = [Some(mode), Some(&*owner.tenant), Some(&*owner.order), owner.part.as_deref()];
        self.ledger.key(RecordKind::Order, &Fingerprint::of("order", parts.map(|part| part.map(str::as_bytes))))
    }

    /// How long the order's record lives.
    pub(super) fn order_ttl(&self) -> Duration {
        self.retention.saturating_add(ORDER_MARGIN)
    }

    /// Every record by which the payment is used, the one at the present place first.
    async fn settled(
        &self,
        records: &mut PairLedger<'_>,
        payment: &PaymentId,
    ) -> Result<Vec<(Key, Held)>, LedgerError> {
        let mut places = self.former_keys(payment);
        places.insert(0, self.payment_key(&self.identity.redemption(payment)));
        let mut found = records.get_many(&places).await?;
        found.retain(|(_, found)| found.record.state == State::Settled);
        Ok(found)
    }

    /// What a payment was redeemed for.
    pub(super) async fn redemption(
        &self,
        records: &mut PairLedger<'_>,
        payment: &PaymentId,
    ) -> Result<Option<Redemption>, LedgerError> {
        let settled = self.settled(records, payment).await?;
        let Some((_, found)) = settled.first() else { return Ok(None) };
        let receipt =
            Receipt { payment: payment.clone(), owner: owner_in(found)?, number: found.record.nonce.into_bytes() };
        Ok(Some(Redemption { receipt, age: found.told_age() }))
    }

    /// The payment's record that stands for a receipt; `None` where it is undone.
    ///
    /// # Errors
    /// When the payment was redeemed anew since then.
    pub(super) async fn standing(
        &self,
        records: &mut PairLedger<'_>,
        receipt: &Receipt,
    ) -> Result<Option<(Key, Held)>, RedeemError> {
        let mut settled = self.settled(records, &receipt.payment).await?;
        match settled.iter().position(|(_, found)| found.record.nonce.into_bytes() == receipt.number) {
            Some(own) => Ok(Some(settled.swap_remove(own))),
            None => match settled.first() {
                Some((_, other)) => Err(already_redeemed(&owner_in(other)?, &receipt.owner)),
                None => Ok(None),
            },
        }
    }

    /// The order's record, where it names this claim.
    pub(super) async fn order_of(
        &self,
        records: &mut PairLedger<'_>,
        owner: &Owner,
        claim: [u8; 16],
    ) -> Result<Option<(Key, Held)>, LedgerError> {
        let place = self.order_key(owner);
        let Some(found) = records.get(&place).await? else { return Ok(None) };
        let is_own = payer_in(&found)?.claim.into_bytes() == claim;
        Ok(is_own.then_some((place, found)))
    }
}
