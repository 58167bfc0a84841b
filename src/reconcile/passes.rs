//! The merges: which payments have to be looked up, what belongs together, and what is wrong with it.

use std::io;
use std::path::PathBuf;

use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::payment::policy::TenantProof;

use super::case::Case;
use super::decided::{DecidedCases, FoundCases};
use super::judge::CaseJudge;
use super::left::{ALIASES, UNUSABLE};
use super::merge::{KeyGroups, Merge};
use super::rows::{CasePayment, Gathered, NamedBy, OrderRow, PaymentRow, owner_key};
use super::run_file::{RunWriter, row};
use super::sort::Sorter;
use super::spool::{BY_ORDER, ORDERS};

/// Payments that have to be looked up by themselves.
pub(super) const TO_LOOK_UP: &str = "to-look-up.run";

/// The files of a run, and what they are judged by.
#[derive(Clone)]
pub(super) struct Passes {
    pub(super) folder: PathBuf,
    pub(super) judge: CaseJudge,
    /// Everything by payment: what was listed, looked up and carried, and orders by the payment that they name.
    pub(super) by_payment: Vec<Box<str>>,
    pub(super) memory: usize,
    /// How many payments that only orders name are looked up.
    pub(super) most_looked_up: usize,
}

impl Passes {
    /// Writes down which payments have to be looked up by themselves: what changed in the window, was carried, could not be read
    /// or is named by an order of the window, and is not in the list. Which payment an alias stands for has to be known of every
    /// order that a listed payment may be of; what was found out before is written under the payment, into the runs returned.
    pub(super) fn find_what_to_look_up(&self) -> io::Result<Vec<Box<str>>> {
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "look-up-input", &self.by_payment)?);
        let mut writer = RunWriter::create(&self.folder.join(TO_LOOK_UP))?;
        let mut remembered = Sorter::new(&self.folder, "remembered", self.memory / 8, Vec::new());
        let (judge, mut left) = (&self.judge, self.most_looked_up);
        let is_in_window = |at: Option<u64>| at.is_none_or(|at| (judge.since..judge.until).contains(&at));
        while groups.advance()? {
            if groups.values().any(PaymentRow::is_listed) {
                continue;
            }
            let gathered = Gathered::of(groups.key(), groups.values())?;
            let payment = &gathered.payment;
            let has_changed = payment.changed.is_some() && is_in_window(payment.changed);
            let is_named = |by: &NamedBy| by.is_looked_up && is_in_window(by.latest);
            let first = judge.since.saturating_sub(judge.look_back);
            let is_concerned = |by: &NamedBy| by.latest.is_none_or(|latest| latest >= first);
            let mut is_looked_up = has_changed || gathered.must_be_looked_up;
            if !is_looked_up && gathered.named_by.iter().any(is_named) {
                is_looked_up = left > 0 || judge.is_alias(&payment.id);
                left = left.saturating_sub(1);
            } else if !is_looked_up && judge.is_alias(&payment.id) {
                is_looked_up = gathered.stands_for.is_none() && gathered.named_by.iter().any(is_concerned);
                for by in gathered
                    .stands_for
                    .iter()
                    .filter(|own| **own != payment.id)
                    .flat_map(|own| gathered.named_by.iter().map(move |by| (own, by)))
                {
                    remembered.add(by.0.as_bytes(), &row(&PaymentRow::Named(by.1.clone()))?)?;
                }
            }
            if is_looked_up {
                writer.write(groups.key(), b"")?;
            }
        }
        writer.finish()?;
        remembered.finish()
    }

    /// Brings payments together with their orders, and judges them.
    pub(super) fn judge(&self) -> io::Result<FoundCases> {
        let mut decided = DecidedCases::new(&self.folder, self.memory)?;
        let (mut runs, listed) = self.join(&mut decided)?;
        runs.push(format!("{ORDERS}/{BY_ORDER}").into());
        runs.extend(UNUSABLE.known(&self.folder));
        let mut merge = Merge::open(&self.folder, "judged-input", &runs)?;
        while merge.head().is_some() {
            self.judge.judge_next(&mut merge, &mut decided)?;
        }
        decided.finish(listed)
    }

    /// Whether it could not be found out of an alias which payment it stands for.
    pub(super) fn is_alias_unknown(&self, looked_up: &[Box<str>]) -> io::Result<bool> {
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "alias-input", looked_up)?);
        while groups.advance()? {
            let payment = Gathered::of(groups.key(), groups.values())?.payment;
            if payment.failure.is_some() && self.judge.is_alias(&payment.id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sorts payments by the order that names them, or that they name. What names no order is judged at once.
    fn join(&self, decided: &mut DecidedCases) -> io::Result<(Vec<Box<str>>, u64)> {
        let mut by_order = Sorter::new(&self.folder, "payments-by-order", self.memory / 2, Vec::new());
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "joined-input", &self.by_payment)?);
        let mut aliases = ALIASES.write_next(&self.folder)?;
        let mut listed = 0_u64;
        while groups.advance()? {
            let gathered = Gathered::of(groups.key(), groups.values())?;
            listed = listed.saturating_add(u64::from(gathered.is_in_list));
            if gathered.stands_for.is_some() || self.judge.is_alias(&gathered.payment.id) {
                aliases.remember(&gathered)?;
            }
            let is_remembered = gathered.stands_for.is_some() && gathered.payment.facts.is_none();
            // What names it is there under the payment, too.
            if !is_remembered {
                self.join_payment(gathered, &mut by_order, decided)?;
            }
        }
        aliases.finish()?;
        Ok((by_order.finish()?, listed))
    }

    fn join_payment(&self, gathered: Gathered, by_order: &mut Sorter, decided: &mut DecidedCases) -> io::Result<()> {
        let Gathered { mut payment, named_by, has_alias, .. } = gathered;
        let own = payment.facts.as_ref().and_then(|facts| self.judge.owner_stated(facts));
        if named_by.is_empty() {
            return match own {
                // Under its alias, it is judged with the order that names that.
                _ if has_alias => Ok(()),
                Some(owner) => by_order.add(&owner, &row(&OrderRow::Payment(Box::new(payment)))?),
                None => decided.take(&self.judge, &Case::of_payment(payment)),
            };
        }
        let users: Vec<&NamedBy> = named_by.iter().filter(|by| by.is_paid).collect();
        let owners: Vec<&NamedBy> =
            if users.is_empty() { named_by.iter().filter(|by| !by.is_unusable).collect() } else { users.clone() };
        // A line that cannot be used is told by itself.
        let Some(first) = owners.first() else { return decided.carry_unjudged(&self.judge, &payment) };
        // It is judged with one order: the one that it states itself, whichever name it, unless others alone are paid by it. It
        // must not be hidden behind another tenant's open order.
        let is_own = |own: &Vec<u8>| users.is_empty() || users.iter().any(|by| by.owner == *own);
        let judged_with = own.filter(is_own).unwrap_or_else(|| first.owner.clone());
        if let Some((first, others)) = users.split_first()
            && others.iter().any(|by| by.owner != first.owner)
        {
            // The last one that is not its own is told, by the latest of them all: there may be any number.
            let latest = users.iter().filter_map(|by| by.latest).max();
            let told = users.iter().rev().find(|by| by.owner != judged_with);
            let users = told.map(|by| NamedBy { latest, ..(**by).clone() }).into_iter().collect();
            let case = Case { payments: vec![payment.clone()], users, ..Case::default() };
            decided.take(&self.judge, &case)?;
        }
        let taken = CasePayment { is_named: true, is_taken: true, facts: None, ..payment.clone() };
        payment.is_named = owners.iter().any(|by| by.owner == judged_with);
        let mut last: Option<&[u8]> = None;
        for by in named_by.iter().filter(|by| !by.is_unusable && by.owner != judged_with) {
            if last != Some(&by.owner) {
                by_order.add(&by.owner, &row(&OrderRow::Payment(Box::new(taken.clone())))?)?;
            }
            last = Some(&by.owner);
        }
        by_order.add(&judged_with, &row(&OrderRow::Payment(Box::new(payment)))?)
    }
}

impl CaseJudge {
    /// What a payment is sorted by that states its order, and whose it is.
    fn owner_stated(&self, facts: &ProviderPayment) -> Option<Vec<u8>> {
        let rules = &self.lookups.rules;
        let order = rules.order.stated(facts, None, None)?;
        let tenant = rules.tenant.stated(facts);
        let is_single = rules.tenant == TenantProof::SingleTenant;
        let fits = |text: &str| !text.contains('\0');
        (fits(order) && tenant.is_none_or(fits) && (is_single || tenant.is_some()))
            .then(|| owner_key(tenant.filter(|_| !is_single), order))
    }

    fn is_alias(&self, id: &str) -> bool {
        let id = PaymentId::parse(id);
        id.is_ok_and(|id| self.lookups.account.retrier.provider.is_alias(&id))
    }
}
