//! The shop's orders, sorted on the disk before the provider is asked for anything.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::payment::policy::TenantProof;

use super::error::ReconcileError;
use super::folder::WorkFolder;
use super::judge::CaseJudge;
use super::merge::Merge;
use super::off_thread;
use super::order::{OrderRecord, OrderState, UnusableOrder};
use super::rows::{NamedBy, OrderRow, PaymentRow, owner_key};
use super::run_file::{RunWriter, row};
use super::sort::Sorter;

/// The folder of a run's orders, and of those that are being read.
pub(super) const ORDERS: &str = "orders";
pub(super) const NEW_ORDERS: &str = "orders.new";

/// All orders, by tenant and order.
pub(super) const BY_ORDER: &str = "by-order.run";

/// So many orders are sorted in between two moments in which other tasks of the runtime may run.
const BATCH: usize = 512;

/// Orders on the disk.
#[derive(Debug, Default)]
pub(super) struct Spooled {
    /// The same for the same orders, in whichever order they come.
    pub(super) digest: String,
    pub(super) read: u64,
    pub(super) unusable: u64,
    /// Unusable lines that name neither an order nor a payment.
    pub(super) nameless: u64,
    /// By the payment that they name.
    pub(super) by_payment: Vec<Box<str>>,
}

/// Two sortings of what is read.
struct Sorting {
    judge: CaseJudge,
    by_payment: Sorter,
    by_order: Sorter,
    spooled: Spooled,
}

/// Reads all orders into a folder of their own.
pub(super) async fn spool<S>(
    orders: S,
    folder: &Arc<WorkFolder>,
    judge: &CaseJudge,
    memory: usize,
) -> Result<Spooled, ReconcileError>
where
    S: Stream<Item = Result<OrderRecord, UnusableOrder>> + Send,
{
    let judge = judge.clone();
    let mut sorting = off_thread(folder, move |folder| {
        let path = folder.file(NEW_ORDERS);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        let half = memory / 2;
        let by_payment = Sorter::new(&path, "by-payment", half, Vec::new());
        let by_order = Sorter::new(&path, "by-order", half, Vec::new());
        Ok(Sorting { judge, by_payment, by_order, spooled: Spooled::default() })
    })
    .await?;
    let mut batches = std::pin::pin!(orders.ready_chunks(BATCH));
    while let Some(batch) = batches.next().await {
        sorting = off_thread(folder, move |_| {
            for order in batch {
                sorting.add(order)?;
            }
            Ok(sorting)
        })
        .await?;
    }
    off_thread(folder, move |_| sorting.finish()).await
}

impl Sorting {
    fn add(&mut self, order: Result<OrderRecord, UnusableOrder>) -> io::Result<()> {
        match order {
            Ok(order) => self.add_order(&order),
            Err(unusable) => self.add_unusable(&unusable),
        }
    }

    fn add_order(&mut self, order: &OrderRecord) -> io::Result<()> {
        self.spooled.read = self.spooled.read.saturating_add(1);
        let owner = self.judge.key_of(order.tenant(), order.order());
        if let Some(payment) = order.payment().filter(|_| !self.judge.names_no_payment(order)) {
            let by = NamedBy {
                owner: owner.clone(),
                is_paid: order.state.is_paid(),
                // An older payment of an order that is not paid so far is of no interest.
                is_looked_up: order.state != OrderState::Open && !self.judge.is_paid_by_others(order),
                is_unusable: false,
                latest: order.latest(),
            };
            self.by_payment.add(payment.as_str().as_bytes(), &row(&PaymentRow::Named(by))?)?;
        }
        self.by_order.add(&owner, &row(&OrderRow::Order(order.to_fields()))?)
    }

    fn add_unusable(&mut self, unusable: &UnusableOrder) -> io::Result<()> {
        self.spooled.unusable = self.spooled.unusable.saturating_add(1);
        let owner = unusable.owner.as_ref();
        let owner = owner.map_or_else(Vec::new, |(tenant, order)| self.judge.key_of(tenant, order));
        let named = unusable.payment.as_ref().map(PaymentId::as_str);
        let is_nameless = unusable.owner.is_none() && named.is_none();
        self.spooled.nameless = self.spooled.nameless.saturating_add(is_nameless.into());
        if let Some(payment) = named {
            let by =
                NamedBy { owner: owner.clone(), is_paid: false, is_looked_up: false, is_unusable: true, latest: None };
            self.by_payment.add(payment.as_bytes(), &row(&PaymentRow::Named(by))?)?;
        }
        self.by_order.add(&owner, &row(&OrderRow::Unusable(named.map(Into::into)))?)
    }

    /// Puts the orders into one file, whose digest does not depend on how they came.
    fn finish(self) -> io::Result<Spooled> {
        let Self { by_payment, by_order, mut spooled, .. } = self;
        spooled.by_payment = by_payment.finish()?;
        let folder = by_order.folder().to_owned();
        let mut hash = Sha256::new();
        let mut writer = RunWriter::create(&folder.join(BY_ORDER))?;
        let runs = by_order.finish()?;
        let mut merge = Merge::open(&folder, "by-order", &runs)?;
        while let Some((key, value)) = merge.head() {
            for part in [key, value] {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
            writer.write(key, value)?;
            merge.advance()?;
        }
        writer.finish()?;
        drop(merge);
        for run in runs {
            fs::remove_file(folder.join(&*run))?;
        }
        spooled.digest = Fingerprint::from_bytes(hash.finalize().into()).to_text();
        Ok(spooled)
    }
}

/// Whether the orders of a run are there.
pub(super) fn has_orders(folder: &Path) -> bool {
    folder.join(ORDERS).join(BY_ORDER).exists()
}

impl CaseJudge {
    /// What an order of this tenant is sorted by.
    pub(super) fn key_of(&self, tenant: &str, order: &str) -> Vec<u8> {
        let is_named = self.lookups.rules.tenant != TenantProof::SingleTenant;
        owner_key(is_named.then_some(tenant), order)
    }
}
