//! Two records that belong together: one by one in a store that changes one at a time, at once in a database that can, there by
//! the store or within a transaction of the caller's.

use std::sync::Arc;

use tokio::time::Instant;

use crate::store::pair::{PairCall, PairSaid, PairScope, PairWrite};
use crate::store::sql::{AnySql, SqlHome};
use crate::store::{StoreError, Stored};

use super::store_call::with_one_retry;
use super::{Contents, Held, Key, Ledger, LedgerError, Nonce, Record};

/// The records of a ledger, two at a time where that can be.
pub(crate) struct PairLedger<'l> {
    ledger: &'l Ledger,
    way: Way<'l>,
    /// Tells the table that is meant; none where that is the caller's to know.
    table: Option<Arc<[u8]>>,
}

/// How two records are changed.
enum Way<'l> {
    OneByOne,
    Store(Arc<dyn SqlHome>),
    Transaction(&'l mut dyn AnySql),
}

/// A record that is about to be written: where nothing stands, or where exactly this was found.
pub(crate) struct PairRecord<'p> {
    pub(crate) key: &'p Key,
    pub(crate) over: Option<&'p Held>,
    pub(crate) contents: Contents,
}

/// Two records that are written at once, or not at all.
pub(crate) struct PairRecords<'p> {
    pub(crate) nonce: Nonce,
    pub(crate) payment: PairRecord<'p>,
    /// Places where no record may stand.
    pub(crate) former: &'p [Key],
    /// A record that is removed first, since it must not change any more.
    pub(crate) lapsed: Option<&'p (Key, Held)>,
    pub(crate) order: PairRecord<'p>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum PairWritten {
    Done,
    /// This stands at the payment's place, or nothing any more.
    Payment(Option<Held>),
    /// Something stands at a former place.
    Former,
    /// The record that was to be removed has changed.
    Lapsed,
    /// This stands at the order's place, or nothing any more.
    Order(Option<Held>),
    /// The transaction is one in another database.
    OtherTable,
    /// The store changes one record at a time.
    OneByOne,
}

impl Ledger {
    /// Whether the store changes several records at once.
    pub(crate) fn has_binder(&self) -> bool {
        self.extras.binder().is_some()
    }

    /// The same records, two at a time where the store can.
    pub(crate) async fn pairs(&self) -> Result<PairLedger<'_>, LedgerError> {
        let Some(home) = self.extras.binder() else {
            return Ok(PairLedger::one_by_one(self));
        };
        let table = Some(self.table_of(&*home, false).await?);
        Ok(PairLedger { ledger: self, way: Way::Store(home), table })
    }

    /// Such records within a transaction: in the store's own database, or in one that is the caller's to know.
    pub(crate) async fn pairs_within<'l>(
        &'l self,
        sql: &'l mut dyn AnySql,
        is_in_store: bool,
    ) -> Result<PairLedger<'l>, LedgerError> {
        let table = match self.extras.binder().filter(|_| is_in_store) {
            Some(home) => Some(self.table_of(&*home, false).await?),
            None => None,
        };
        Ok(PairLedger { ledger: self, way: Way::Transaction(sql), table })
    }

    async fn table_of(&self, home: &dyn SqlHome, anew: bool) -> Result<Arc<[u8]>, LedgerError> {
        with_one_retry(|| self.in_time(|| home.table_id(anew))).await
    }
}

impl<'l> PairLedger<'l> {
    /// One record after the other.
    pub(crate) fn one_by_one(ledger: &'l Ledger) -> Self {
        Self { ledger, way: Way::OneByOne, table: None }
    }
}

impl PairLedger<'_> {
    /// Whether it is the caller's transaction: what was written may be rolled back, and nothing is waited for.
    pub(crate) fn is_within(&self) -> bool {
        matches!(self.way, Way::Transaction(_))
    }

    /// Whether two records are changed at once.
    pub(crate) fn is_at_once(&self) -> bool {
        !matches!(self.way, Way::OneByOne)
    }

    /// Whether the transaction is one in another database than the one that is meant, if that is known.
    pub(crate) async fn is_other_table(&mut self) -> Result<bool, LedgerError> {
        Ok(self.refuses_table().await? && (!self.has_renewed_table().await? || self.refuses_table().await?))
    }

    async fn refuses_table(&mut self) -> Result<bool, LedgerError> {
        match (&mut self.way, &self.table) {
            (Way::Transaction(sql), Some(table)) => Ok(!sql.has_table(table).await?),
            _ => Ok(false),
        }
    }

    /// Whether the store's own table has another id by now than the one that was refused. A table that was restored gets a new one
    /// while processes run.
    async fn has_renewed_table(&mut self) -> Result<bool, LedgerError> {
        let (Some(home), Some(refused)) = (self.ledger.extras.binder(), &self.table) else { return Ok(false) };
        let table = self.ledger.table_of(&*home, true).await?;
        let is_renewed = table != *refused;
        self.table = Some(table);
        Ok(is_renewed)
    }

    /// Reads a record. Within a transaction it stays as it is until that ends.
    pub(crate) async fn get(&mut self, key: &Key) -> Result<Option<Held>, LedgerError> {
        let Way::Transaction(sql) = &mut self.way else { return self.ledger.get(key).await };
        let asked_at = Instant::now();
        let stored = sql.hold(&key.text).await?;
        stored.map(|stored| self.ledger.held(key, stored, asked_at)).transpose()
    }

    /// Reads records, those that are there. One that cannot be read fails all.
    pub(crate) async fn get_many(&mut self, keys: &[Key]) -> Result<Vec<(Key, Held)>, LedgerError> {
        let mut all = Vec::new();
        if self.is_within() {
            for key in keys {
                all.extend(self.get(key).await?.map(|found| (key.clone(), found)));
            }
        } else {
            for (key, found) in keys.iter().zip(self.ledger.get_many(keys).await) {
                all.extend(found?.map(|found| (key.clone(), found)));
            }
        }
        Ok(all)
    }

    /// Removes a record that was read, if it is still there.
    pub(crate) async fn remove(&mut self, key: &Key, held: &Held) -> Result<(), LedgerError> {
        match &mut self.way {
            Way::Transaction(sql) => sql.remove_one(&key.text, &held.bytes).await?,
            Way::OneByOne | Way::Store(_) => self.ledger.remove(key, held).await?,
        };
        Ok(())
    }

    /// Writes two records, or neither. Asked for again after a lost reply, it finds what it wrote: they are its own, since no
    /// other call has the nonce.
    pub(crate) async fn write_pair(&mut self, records: PairRecords<'_>) -> Result<PairWritten, LedgerError> {
        let PairRecords { nonce, payment, former, lapsed, order } = records;
        let former: Vec<&str> = former.iter().map(|key| &*key.text).collect();
        let bytes = |one: &PairRecord<'_>| {
            let tail = one.over.map(|over| over.record.tail.clone()).unwrap_or_default();
            self.ledger.encode(one.key, Record { tail, ..one.contents.clone().record(nonce, None) })
        };
        let (paid, paid_by) = (bytes(&payment)?.bytes, bytes(&order)?.bytes);
        let call = PairCall {
            payment: payment.written(&paid),
            former: &former,
            lapsed: lapsed.map(|(key, held)| (&*key.text, &*held.bytes)),
            order: order.written(&paid_by),
        };
        let asked_at = Instant::now();
        let mut said = self.call_pair(&call).await?;
        if matches!(said, Some(PairSaid::OtherTable)) && self.has_renewed_table().await? {
            said = self.call_pair(&call).await?;
        }
        let Some(said) = said else { return Ok(PairWritten::OneByOne) };
        let held =
            |key, stored: Option<Stored>| stored.map(|stored| self.ledger.held(key, stored, asked_at)).transpose();
        Ok(match said {
            PairSaid::Done => PairWritten::Done,
            PairSaid::Payment(Some(stored)) if stored.bytes == paid => PairWritten::Done,
            PairSaid::Payment(stored) => PairWritten::Payment(held(payment.key, stored)?),
            PairSaid::Former => PairWritten::Former,
            PairSaid::Lapsed => PairWritten::Lapsed,
            PairSaid::Order(stored) => PairWritten::Order(held(order.key, stored)?),
            PairSaid::OtherTable => PairWritten::OtherTable,
        })
    }

    /// Sends the call; none where the store changes one record at a time.
    async fn call_pair(&mut self, call: &PairCall<'_>) -> Result<Option<PairSaid>, LedgerError> {
        let table = self.table.as_deref();
        Ok(match &mut self.way {
            Way::OneByOne => None,
            Way::Transaction(sql) => Some(sql.write_pair(PairScope::Transaction, table, call).await?),
            Way::Store(home) => Some(self.ledger.patiently("bind", || write_pair_of(&**home, table, call)).await?),
        })
    }

    /// Removes the records of a payment and of its order, each as it was read: the payment's, which counts, first. False where
    /// the transaction is one in another database.
    pub(crate) async fn remove_pair(&mut self, pair: [Option<&(Key, Held)>; 2]) -> Result<bool, LedgerError> {
        Ok(self.call_removal(pair).await? || self.has_renewed_table().await? && self.call_removal(pair).await?)
    }

    async fn call_removal(&mut self, pair: [Option<&(Key, Held)>; 2]) -> Result<bool, LedgerError> {
        let table = self.table.as_deref();
        let bytes = pair.map(|one| one.map(|(key, held)| (&*key.text, &*held.bytes)));
        match &mut self.way {
            Way::OneByOne => {
                for (key, held) in pair.into_iter().flatten() {
                    self.ledger.remove(key, held).await?;
                }
                Ok(true)
            }
            Way::Transaction(sql) => Ok(sql.remove_pair(table, bytes).await?),
            Way::Store(home) => self.ledger.patiently("release", || remove_pair_of(&**home, table, bytes)).await,
        }
    }
}

impl PairRecord<'_> {
    fn written<'w>(&'w self, bytes: &'w [u8]) -> PairWrite<'w> {
        PairWrite {
            key: &self.key.text,
            expected: self.over.map(|over| &*over.bytes),
            value: bytes,
            ttl: self.contents.ttl,
        }
    }
}

async fn write_pair_of(home: &dyn SqlHome, table: Option<&[u8]>, call: &PairCall<'_>) -> Result<PairSaid, StoreError> {
    home.sql().write_pair(PairScope::Store, table, call).await
}

async fn remove_pair_of(
    home: &dyn SqlHome,
    table: Option<&[u8]>,
    pair: [Option<(&str, &[u8])>; 2],
) -> Result<bool, StoreError> {
    home.sql().remove_pair(table, pair).await
}
