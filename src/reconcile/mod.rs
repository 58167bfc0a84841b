//! Finds what is already wrong: what the provider lists against the shop's orders, and against what was redeemed.
//!
//! A validation keeps the next order from going wrong; this finds the orders that went wrong before, and those that never came:
//! paid and not ordered, since a webhook was lost. It only reads, at the provider and in the store.
//!
//! ```
//! use futures_util::stream;
//! use payproof::reconcile::{DiscrepancyClass, OrderRecord, OrderState};
//! use payproof::{Currency, Money, Validator};
//!
//! # async fn night(validator: Validator, since: u64, until: u64) -> Result<(), Box<dyn std::error::Error>> {
//! let order = OrderRecord::new("store_42", "6735", OrderState::Paid)?
//!     .with_payment("pi_3MtwBw")
//!     .with_money(Money::parse("19.99", Currency::USD)?)
//!     .with_paid(since + 60);
//! // Orders are read one by one and sorted on the disk: there may be millions.
//! let orders = stream::iter([Ok(order)]);
//!
//! let reconciler = validator.reconciler().since(since).until(until).work("/var/lib/shop/reconcile").build()?;
//! let report = reconciler.run(orders).await?;
//! for told in report.discrepancies() {
//!     let told = told?;
//!     println!("{}: payment {:?}, order {:?}", told.class().code(), told.payment(), told.order());
//! }
//! println!("{} paid and not ordered", report.counts().of(DiscrepancyClass::PaidNotOrdered).told);
//! let code = report.status().exit_code();
//! drop(report);
//! std::process::exit(code.into());
//! # }
//! ```
//!
//! # What is told
//! A [`DiscrepancyClass`] says what is wrong. Whether a payment pays an order is judged by the validator's own rules, exactly as
//! [`validate`](crate::Validator::validate) judges it; but what the shop accepted when it took the order is not judged again:
//! risk, a report of fraud, and the payment's age. An order's customer is not compared, since an export names none that the provider
//! knows.
//!
//! A discrepancy is told by the run in whose window payment or order changed for the last time: the payment's creation, its
//! payment, a refund, a dispute, or one of the order's times. So runs whose windows meet tell each change once.
//!
//! The [work folder](ReconcilerBuilder::work) leads from one run to the next. A payment that is under way is carried in it, and told
//! when it is paid without an order, however many days later that is. What was told and still stands is not told again when its
//! payment or order changes; what was mended and is wrong again is. An order whose line cannot be used, and a payment whose look-up
//! is refused, are told once, and judged by the run that can read them. Without a work folder each run stands alone.
//!
//! These are no discrepancies: a refund or a dispute after the order was shipped, or of a part of the money; a deposit and the
//! balance that together pay the total; an older payment that is refunded, whose order is not in the export; an order paid by
//! other means, or with nothing to pay.
//!
//! # What is asked
//! The provider has to [list](crate::provider::Provider::list) its payments. Pages come one at a time, at a
//! [pace](ReconcilerBuilder::pace), behind a gate and within a budget of their own, so that no checkout waits for them. What the
//! list does not have is looked up by itself: what changed in the window, what was carried, and what an order of the window names.
//! An alias is looked up once for every order that a listed payment may be of, and remembered in the work folder.
//! At the end every discrepancy's payment is looked up afresh and judged again, since list and export are of different moments.
//! Nothing of it is kept by the validator.
//!
//! # How much it takes
//! Memory: about 100 MiB, however many payments and orders there are; [less](ReconcilerBuilder::sort_memory) where it has to be.
//! Disk: some 300 bytes a payment and 200 an order, twice for a while. Time: mostly the provider's.

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::accessors::partial_debug;
use crate::validator::Validator;

mod aliases;
mod builder;
mod calls;
mod case;
mod class;
mod confirm;
mod decided;
mod discrepancy;
mod error;
mod finish;
mod folder;
mod judge;
mod judge_order;
mod left;
mod merge;
mod news;
mod order;
mod order_group;
mod passes;
mod plan;
mod planning;
mod redemptions;
mod report;
mod rows;
mod run;
mod run_file;
mod sort;
mod spool;
mod summary;
mod told;

pub use builder::{AskRedemptions, ReconcilerBuilder};
pub use class::{DiscrepancyClass, Unremarkable};
pub use discrepancy::{Discrepancy, KnownDiscrepancy};
pub use error::ReconcileError;
pub use order::{OrderRecord, OrderState, UnusableOrder};
pub use report::{Discrepancies, Reconciliation};
pub use summary::{ClassCounts, ReconcileCounts, ReconcileStatus};

use builder::Settings;
use folder::WorkFolder;

impl Validator {
    /// Compares the payments that the provider lists with a shop's orders: paid and not ordered, ordered and not paid, and what
    /// else does not fit. See [`reconcile`](crate::reconcile).
    pub fn reconciler(&self) -> ReconcilerBuilder {
        ReconcilerBuilder::of(self.clone())
    }
}

/// Reconciles a provider's account with a shop's orders. Made by [`ReconcilerBuilder::build`].
#[derive(Clone)]
pub struct Reconciler {
    validator: Validator,
    settings: Settings,
}

partial_debug!(Reconciler, self => validator: self.validator, settings: self.settings);

/// Does work on files beside the runtime's tasks, which would wait for it. The folder stays locked until it is done, whether the
/// run is dropped meanwhile or not.
async fn off_thread<T: Send + 'static>(
    folder: &Arc<WorkFolder>,
    work: impl FnOnce(&WorkFolder) -> io::Result<T> + Send + 'static,
) -> Result<T, ReconcileError> {
    let folder = Arc::clone(folder);
    off_thread_alone(move || Ok(work(&folder)?)).await
}

/// The same before there is a folder.
async fn off_thread_alone<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReconcileError> + Send + 'static,
) -> Result<T, ReconcileError> {
    let runtime = Handle::try_current().map_err(|_| ReconcileError::NoRuntime)?;
    runtime.spawn_blocking(work).await.map_err(|_| ReconcileError::Interrupted)?
}
