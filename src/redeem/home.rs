//! Where redemptions are recorded: in the store, or in the database of the orders, within their transactions.

use std::time::Duration;

use tokio::time::Instant;

use crate::account::{Account, Decided, DecidedOn, Deciding};
use crate::call::deadline::Deadline;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Ledger, Nonce, PairLedger};
use crate::store::sql::AnySql;

use super::books::Books;
use super::error::RedeemError;
use super::receipt::{Occasion, Owner, Receipt, Redeemed, Redemption};

/// The longest a binding may take, waits for others included.
const LIMIT: Duration = Duration::from_secs(10);

/// The same in the store that redemptions were moved from, while a transaction of the caller's holds locks.
const LIMIT_UNDER_LOCKS: Duration = Duration::from_secs(1);

/// The records of redemptions, where every process sees them.
pub(super) struct Home<'e> {
    books: Books<'e>,
    records: PairLedger<'e>,
    /// Where they were recorded before. What stands there still counts.
    former: Option<Books<'e>>,
    is_store: bool,
}

impl<'e> Home<'e> {
    pub(super) async fn of<'t: 'e>(
        account: &'e Account,
        sql: Option<&'e mut (dyn AnySql + 't)>,
    ) -> Result<Self, RedeemError> {
        match sql {
            Some(sql) => Self::within(account, sql).await,
            None => Self::outside(account).await,
        }
    }

    /// The records as calls outside of transactions reach them.
    async fn outside(account: &'e Account) -> Result<Self, RedeemError> {
        if account.redemption.in_transactions {
            return Err(RedeemError::NeedsTransaction);
        }
        if !account.is_alone_or_shared() {
            return Err(RedeemError::StoreNotShared);
        }
        let records = account.ledger.pairs().await?;
        Ok(Self { books: books(account, &account.ledger), records, former: former(account), is_store: true })
    }

    /// The records within a transaction of the caller's.
    async fn within(account: &'e Account, sql: &'e mut dyn AnySql) -> Result<Self, RedeemError> {
        let is_store = !account.redemption.in_transactions;
        if is_store && !account.ledger.has_binder() {
            return Err(RedeemError::NotInDatabase);
        }
        let records = account.ledger.pairs_within(sql, is_store).await?;
        Ok(Self { books: books(account, &account.ledger), records, former: former(account), is_store })
    }

    /// Refuses a store that may forget at a restart what is about to be written.
    pub(super) async fn check_restart(&mut self) -> Result<(), RedeemError> {
        if self.is_store { self.books.check_restart().await } else { Ok(()) }
    }

    /// Binds a payment to its owner: first where redemptions were recorded before, under the same number.
    pub(super) async fn bind(&mut self, payment: &PaymentId, owner: &Owner) -> Result<Redeemed, RedeemError> {
        let limit = if self.records.is_within() { LIMIT_UNDER_LOCKS } else { LIMIT };
        let mut before = None;
        if let Some(former) = self.former {
            former.check_restart().await?;
            let (mut records, deadline) = (former.ledger.pairs().await?, Deadline::after(Instant::now(), limit));
            before = Some(former.bind(&mut records, payment, owner, None, deadline).await?);
        }
        let claim = before.as_ref().map(|before| Nonce::of(before.receipt.number));
        let deadline = Deadline::after(Instant::now(), limit);
        let bound = self.books.bind(&mut self.records, payment, owner, claim, deadline).await;
        match (before, bound) {
            // It was bound before, or by a call whose transaction was rolled back: none can know.
            (Some(before), Ok(bound)) if bound.receipt == before.receipt && bound.occasion == Occasion::First => {
                Ok(before)
            }
            (Some(before), Err(error)) if before.occasion == Occasion::First && is_taken(&error) => {
                // It pays here what it was about to pay there, or its order is paid. Left there, it keeps refusing both.
                let _ = self.release_before(&before.receipt).await;
                Err(error)
            }
            (_, bound) => bound,
        }
    }

    /// What a payment was redeemed for.
    pub(super) async fn redemption(&mut self, payment: &PaymentId) -> Result<Option<Redemption>, RedeemError> {
        if let Some(found) = self.books.redemption(&mut self.records, payment).await? {
            return Ok(Some(found));
        }
        let Some(former) = self.former else { return Ok(None) };
        Ok(former.redemption(&mut former.ledger.pairs().await?, payment).await?)
    }

    /// Undoes a redemption, and records who decided it.
    pub(super) async fn release(&mut self, account: &Account, receipt: &Receipt, who: &str) -> Result<(), RedeemError> {
        let (books, records) = (self.books, &mut self.records);
        let payment = books.standing(records, receipt).await?;
        let order = books.order_of(records, &receipt.owner, receipt.number).await?;
        // One by one the payment's record decides, and the order's is freed once what was decided is made.
        let (at_once, after) = if records.is_at_once() { (order.as_ref(), None) } else { (None, order.as_ref()) };
        let is_known = match &payment {
            Some(_) => {
                let about = format!("tenant {}, order {}", receipt.tenant(), receipt.owner.order_and_part());
                let (on, subject, decided) = (DecidedOn::Redemption, receipt.payment().as_str(), Decided::Released);
                let deciding = Deciding { who, on, subject, about: &about, decided };
                let undo = records.remove_pair([payment.as_ref(), at_once]);
                let is_known = account.decide(deciding, undo, |is_known| !is_known).await?;
                if is_known {
                    account.telemetry.released(receipt.payment(), who);
                }
                is_known
            }
            // There may be left to end what an earlier release began.
            None => records.remove_pair([None, at_once]).await?,
        };
        if !is_known {
            return Err(RedeemError::OtherDatabase);
        }
        if after.is_some() {
            records.remove_pair([None, after]).await?;
        }
        Ok(())
    }

    /// The same where redemptions were recorded before.
    pub(super) async fn release_before(&mut self, receipt: &Receipt) -> Result<(), RedeemError> {
        let Some(former) = self.former else { return Ok(()) };
        let mut records = former.ledger.pairs().await?;
        let payment = former.standing(&mut records, receipt).await?;
        let order = former.order_of(&mut records, &receipt.owner, receipt.number).await?;
        records.remove_pair([payment.as_ref(), order.as_ref()]).await?;
        Ok(())
    }
}

/// Whether the payment or the order belongs to another one for good.
fn is_taken(error: &RedeemError) -> bool {
    matches!(error, RedeemError::AlreadyRedeemed { .. } | RedeemError::OrderAlreadyPaid { .. })
}

fn books<'e>(account: &'e Account, ledger: &'e Ledger) -> Books<'e> {
    Books { ledger, identity: &account.identity, retention: account.redemption.retention }
}

fn former(account: &Account) -> Option<Books<'_>> {
    account.former_redemptions.as_ref().map(|ledger| books(account, ledger))
}
