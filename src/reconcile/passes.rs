//! The merges: which payments have to be looked up, what belongs together, and what is wrong with it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::payment::policy::TenantProof;

use super::aliases::AliasWriter;
use super::case::{Case, CaseDecision};
use super::class::Unremarkable;
use super::judge::CaseJudge;
use super::merge::{KeyGroups, Merge};
use super::order::OrderRecord;
use super::rows::{CarriedRow, CasePayment, Gathered, NamedBy, OrderRow, PaymentRow, owner_key, owner_of};
use super::run_file::{RunWriter, decode, row};
use super::sort::Sorter;
use super::spool::{BY_ORDER, ORDERS};

/// Payments that have to be looked up by themselves.
pub(super) const TO_LOOK_UP: &str = "to-look-up.run";

/// Payments that the run before left to this one, and those that this one leaves to the next.
pub(super) const CARRIED: &str = "carried.run";
pub(super) const CARRIED_NEXT: &str = "carried.next";

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

/// What the merges found, on the disk, and what they only counted.
#[derive(Debug, Default)]
pub(super) struct FoundCases {
    /// Discrepancies and their cases, by the place in the report.
    pub(super) runs: Vec<Box<str>>,
    pub(super) kinds: BTreeMap<Unremarkable, u64>,
    pub(super) listed: u64,
    /// Payments that the next run looks at again.
    pub(super) carried: Vec<Box<str>>,
}

/// Where decisions go.
pub(super) struct DecidedCases {
    pub(super) found: Sorter,
    pub(super) carried: Sorter,
    pub(super) kinds: BTreeMap<Unremarkable, u64>,
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
                for by in gathered.stands_for.iter().flat_map(|own| gathered.named_by.iter().map(move |by| (own, by))) {
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
        let mut decided = DecidedCases {
            found: Sorter::new(&self.folder, "found", self.memory / 4, Vec::new()),
            carried: Sorter::new(&self.folder, "carried-next", self.memory / 8, Vec::new()),
            kinds: BTreeMap::new(),
        };
        let (mut runs, listed) = self.join(&mut decided)?;
        runs.push(format!("{ORDERS}/{BY_ORDER}").into());
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "judged-input", &runs)?);
        while groups.advance()? {
            self.judge_group(&groups, &mut decided)?;
        }
        let DecidedCases { found, carried, kinds } = decided;
        Ok(FoundCases { runs: found.finish()?, kinds, listed, carried: carried.finish()? })
    }

    /// Sorts payments by the order that names them, or that they name. What names no order is judged at once.
    fn join(&self, decided: &mut DecidedCases) -> io::Result<(Vec<Box<str>>, u64)> {
        let mut by_order = Sorter::new(&self.folder, "payments-by-order", self.memory / 2, Vec::new());
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "joined-input", &self.by_payment)?);
        let mut aliases = AliasWriter::new(&self.folder);
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
        let Some(first) = owners.first() else { return decided.carry(&self.judge, &payment) };
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

    /// Judges an order with all its payments.
    fn judge_group(&self, groups: &KeyGroups, decided: &mut DecidedCases) -> io::Result<()> {
        let owner = owner_of(groups.key()).map(|(tenant, order)| (tenant.into(), order.into()));
        let mut case = Case { owner, ..Case::default() };
        let mut is_unusable = false;
        for value in groups.values() {
            match decode(value)? {
                OrderRow::Order(fields) => {
                    let order = OrderRecord::of_fields(fields);
                    // Of several lines of one order the latest counts.
                    if case.order.as_ref().is_none_or(|known| known.latest() <= order.latest()) {
                        case.owner = Some((order.tenant.clone(), order.order.clone()));
                        case.order = Some(order);
                    }
                }
                OrderRow::Unusable(payment) => {
                    is_unusable = true;
                    decided.add_unusable(&self.judge, &case, payment)?;
                }
                OrderRow::Payment(payment) => case.payments.push(*payment),
                OrderRow::Redeemed(..) => {}
            }
        }
        if case.order.is_some() {
            return decided.take(&self.judge, &case);
        }
        for payment in case.payments {
            // Where no more than its line is known to be unusable, the order may be there.
            if is_unusable {
                decided.carry(&self.judge, &payment)?;
                continue;
            }
            decided.take(&self.judge, &Case { owner: case.owner.clone(), ..Case::of_payment(payment) })?;
        }
        Ok(())
    }
}

impl DecidedCases {
    /// Writes down what came of a case.
    pub(super) fn take(&mut self, judge: &CaseJudge, case: &Case) -> io::Result<()> {
        let CaseDecision { told, counted, carried } = judge.decide(case);
        for discrepancy in &told {
            let value = row(&(discrepancy.write()?, case.write()?))?;
            self.found.add(&discrepancy.place(), &value)?;
        }
        self.note(counted, carried)
    }

    /// Counts what is only counted, and writes down what the next run has to look at again.
    pub(super) fn note(
        &mut self,
        counted: Vec<Unremarkable>,
        carried: impl IntoIterator<Item = (Box<str>, CarriedRow)>,
    ) -> io::Result<()> {
        for kind in counted {
            let count = self.kinds.entry(kind).or_default();
            *count = count.saturating_add(1);
        }
        for (payment, left) in carried {
            self.carried.add(payment.as_bytes(), &row(&PaymentRow::Carried(left))?)?;
        }
        Ok(())
    }

    /// Leaves a payment to the next run if that has to look at it, with nothing to say of it now.
    fn carry(&mut self, judge: &CaseJudge, payment: &CasePayment) -> io::Result<()> {
        self.note(Vec::new(), judge.carried(payment))
    }

    fn add_unusable(&mut self, judge: &CaseJudge, case: &Case, payment: Option<Box<str>>) -> io::Result<()> {
        let discrepancy = judge.unusable(case, payment);
        self.found.add(&discrepancy.place(), &row(&(discrepancy.write()?, Case::default().write()?))?)
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
