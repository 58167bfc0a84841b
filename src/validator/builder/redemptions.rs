//! The settings of redemptions.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::setters;
use crate::ledger::Ledger;
use crate::settings::build_error::BuildError;
use crate::store::{AnyStore, Store};
use crate::telemetry::Telemetry;

use super::ValidatorBuilder;

/// A redemption is remembered for a day more than a payment counts.
const SHORTEST_REDEMPTION: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// What is stated of redemptions that were recorded before, in another store.
#[derive(Debug, Default)]
pub(super) struct RedemptionsBefore {
    store: Option<Arc<dyn AnyStore>>,
    are_none: bool,
}

impl ValidatorBuilder {
    setters! {
        /// How long it is remembered which order a payment pays. Default: 400 days.
        ///
        /// A payment older than this less a day is invalid, as too old, so that a used payment never becomes unused. At
        /// least 2 days.
        ///
        /// A redemption is kept for as long as was set when it was made. So before you raise this, or share a store with a service
        /// that has less, keep [`Policy::max_age`](crate::Policy::max_age) at the shorter one less a day, in every process, until
        /// the longer one has passed since the last redemption under the shorter: else a payment counts again whose redemption
        /// is forgotten.
        pub fn redemption_retention(mut self, retention: Duration) => self.redemption.retention = retention;

        /// The oldest proof that is redeemed without asking the provider again first. Default: 60 s.
        pub fn proof_max_age(mut self, age: Duration) => self.redemption.proof_max_age = age;

        /// Lets a proof of an authorization be redeemed. Default: not accepted. Authorized is not paid.
        pub fn redeem_authorized(mut self) => self.redemption.authorized = true;

        /// Records redemptions in the database of the orders, within its transactions, whatever the
        /// [`store`](Self::store) is. Default: in the store.
        ///
        /// Then each redemption, look-up and release is made [`within`](crate::redeem::Redeem::within) a transaction, and without
        /// one it is refused: two homes would be two redemptions. A release without one undoes what stands in the store that
        /// [`redemptions_moved_from`](Self::redemptions_moved_from) names. That it is the same database each time is yours to see
        /// to; with a store in PostgreSQL, which knows its table, leave this setting out. The table has to be there, as
        /// `payproof migrate --print` prints it.
        pub fn redemptions_in_transactions(mut self) => self.redemption.in_transactions = true;

        /// States that no redemption was recorded elsewhere before they are recorded in PostgreSQL. Default: not stated, and
        /// a validator whose redemptions stand in PostgreSQL is not built without this or
        /// [`redemptions_moved_from`](Self::redemptions_moved_from).
        ///
        /// A payment that was redeemed in another store is not known here, and would pay another order. So state it in a shop
        /// that is new, or once its redemptions elsewhere are older than the
        /// [retention](Self::redemption_retention). It changes nothing where redemptions stand in any other store.
        pub fn no_redemptions_before(mut self) => self.redemptions_before.are_none = true;

        /// The store in which redemptions were recorded before they are recorded in PostgreSQL. Default: none.
        ///
        /// Each payment is bound there first, and then in PostgreSQL: what was redeemed there stays redeemed, also by processes
        /// that know that store alone. Keep it until the [retention](Self::redemption_retention) is over since the last process
        /// without it has ended; then state [`no_redemptions_before`](Self::no_redemptions_before). Every process has to see that
        /// store: one that only this process sees, such as a file, is refused unless [`only_instance`](Self::only_instance) is stated.
        /// It is part of each [look at the store](crate::Validator::check_store), since what it forgets would pay another order.
        ///
        /// Meanwhile
        ///
        /// - an outage of that store fails redemptions, releases outside of a transaction and look-ups of payments that are not
        ///   recorded in PostgreSQL, and nothing else. It has a breaker of its own, which is in no
        ///   [`stats`](crate::Validator::stats); the event `payproof.store_left_alone` tells of it, and so does a look at the store;
        /// - a transaction that is rolled back leaves its payment bound to its order in that store: redeemed for the same order
        ///   again, it is told [`Repeat`](crate::redeem::Occasion::Repeat), and for no other order until it is released;
        /// - [`release`](crate::Validator::release) within a transaction does not reach that store: once it is committed, release
        ///   the receipt again outside of one, which with [`redemptions_in_transactions`](Self::redemptions_in_transactions) reaches
        ///   that store alone.
        pub fn redemptions_moved_from(mut self, store: impl Store) =>
            self.redemptions_before.store = Some(Arc::new(store));
    }

    pub(super) fn check_redemptions(&self) -> Result<(), BuildError> {
        let (retention, proof_max_age) = (self.redemption.retention, self.redemption.proof_max_age);
        BuildError::check("redemption_retention", retention, retention >= SHORTEST_REDEMPTION, "at least 2 days")?;
        let rule = "more than zero, or no proof could be redeemed";
        BuildError::check("proof_max_age", proof_max_age, !proof_max_age.is_zero(), rule)?;
        let is_in_database = self.redemption.in_transactions
            || self.store.as_ref().is_some_and(|store| store.extras().binder().is_some());
        match (&self.redemptions_before.store, self.redemptions_before.are_none) {
            (None, false) if is_in_database => Err(BuildError::RedemptionsBefore),
            (Some(former), is_stated) => {
                let rule = "left out where `no_redemptions_before` is stated";
                BuildError::check("redemptions_moved_from", format_args!("set"), !is_stated, rule)?;
                let rule = "left out where redemptions are not recorded in PostgreSQL";
                BuildError::check("redemptions_moved_from", format_args!("set"), is_in_database, rule)?;
                let is_seen_by_all = self.only_instance || former.durability().shared;
                let rule = "a store that every process sees, unless `only_instance` is stated";
                BuildError::check(
                    "redemptions_moved_from",
                    format_args!("a store of this process"),
                    is_seen_by_all,
                    rule,
                )
            }
            _ => Ok(()),
        }
    }

    /// The records of redemptions from before, where there are some.
    pub(super) fn former_redemptions(&self, ledger: &Ledger, telemetry: &Telemetry) -> Option<Ledger> {
        let store = Arc::clone(self.redemptions_before.store.as_ref()?);
        Some(ledger.elsewhere(store).heard_by(&telemetry.former_store()))
    }
}
