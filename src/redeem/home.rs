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
            // Before anything is recorded there.
            if self.records.is_other_table().await? {
                return Err(RedeemError::OtherDatabase);
            }
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
                if let Some(former) = self.former
                    && let Ok(mut records) = former.ledger.pairs().await
                {
                    let _ = undo(former, &mut records, &before.receipt, None).await;
                }
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
}

/// Who undoes a redemption, for the record of decisions.
#[derive(Clone, Copy)]
struct ReleasedBy<'w> {
    account: &'w Account,
    who: &'w str,
}

/// Undoes a redemption, and records who decided it: within a transaction in its database alone, else also where redemptions were
/// recorded before.
pub(super) async fn release(
    account: &Account,
    sql: Option<&mut dyn AnySql>,
    receipt: &Receipt,
    who: &str,
) -> Result<(), RedeemError> {
    let by = ReleasedBy { account, who };
    let former = former(account).filter(|_| sql.is_none());
    // What stands in the database of the orders is for a transaction; what it leaves is undone without one.
    let stood = if account.redemption.in_transactions && former.is_some() {
        false
    } else {
        let mut home = Home::of(account, sql).await?;
        undo(home.books, &mut home.records, receipt, Some(by)).await?
    };
    if let Some(former) = former {
        // One release is one decision.
        undo(former, &mut former.ledger.pairs().await?, receipt, Some(by).filter(|_| !stood)).await?;
    }
    Ok(())
}

/// Removes the records of a redemption, recorded as a decision of this one if any; says whether the payment's stood.
async fn undo(
    books: Books<'_>,
    records: &mut PairLedger<'_>,
    receipt: &Receipt,
    by: Option<ReleasedBy<'_>>,
) -> Result<bool, RedeemError> {
    let payment = books.standing(records, receipt).await?;
    let order = books.order_of(records, &receipt.owner, receipt.number).await?;
    // One by one the payment's record decides, and the order's is freed once what was decided is made.
    let (at_once, after) = if records.is_at_once() { (order.as_ref(), None) } else { (None, order.as_ref()) };
    let undone = records.remove_pair([payment.as_ref(), at_once]);
    let is_known = match by.filter(|_| payment.is_some()) {
        Some(ReleasedBy { account, who }) => {
            let about = format!("tenant {}, order {}", receipt.tenant(), receipt.owner.order_and_part());
            let (on, subject, decided) = (DecidedOn::Redemption, receipt.payment().as_str(), Decided::Released);
            let deciding = Deciding { who, on, subject, about: &about, decided };
            let is_known = account.decide(deciding, undone, |is_known| !is_known).await?;
            if is_known {
                account.telemetry.released(receipt.payment(), who);
            }
            is_known
        }
        // There may be left to end what an earlier release began.
        None => undone.await?,
    };
    if !is_known {
        return Err(RedeemError::OtherDatabase);
    }
    if after.is_some() {
        records.remove_pair([None, after]).await?;
    }
    Ok(payment.is_some())
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
