//! One run, from its orders to its report.

use std::fs;
use std::io;
use std::sync::Arc;

use futures_util::Stream;

use crate::intent::fingerprint::Fingerprint;
use crate::moment::since_1970;
use crate::provider::ListOf;

use super::aliases::{ALIASES, ALIASES_NEXT};
use super::builder::AskRedemptions;
use super::calls::{Caller, each_of, list, look_up};
use super::confirm::{Confirmable, FreshFacts};
use super::error::ReconcileError;
use super::finish::{Acceptances, clear, clear_finished, write_carried};
use super::folder::{WorkFolder, remove, rename, write_whole};
use super::judge::CaseJudge;
use super::merge::Merge;
use super::order::{OrderRecord, UnusableOrder};
use super::passes::{CARRIED, CARRIED_NEXT, FoundCases, Passes, TO_LOOK_UP};
use super::plan::{Log, LogStep, RunPhase, RunPlan};
use super::redemptions::{RedemptionsAsked, ask};
use super::report::Reconciliation;
use super::spool::{NEW_ORDERS, ORDERS, has_orders, spool};
use super::summary::Summary;
use super::{Reconciler, off_thread, off_thread_alone};

/// The numbers of a report.
const SUMMARY: &str = "summary.json";

/// So long before the run's beginning a window ends unless its end is set: what was paid since may be about to be ordered.
const SETTLING: u64 = 30 * 60;

/// A run under way.
struct Run<'r> {
    reconciler: &'r Reconciler,
    folder: Arc<WorkFolder>,
    plan: RunPlan,
    log: Log,
    caller: Caller,
    /// What another run over the same folder may bring.
    missing: Vec<Box<str>>,
    /// What none will.
    forgotten: Vec<Box<str>>,
}

impl Reconciler {
    /// Reads the orders, asks the provider, and tells what does not fit.
    ///
    /// Where the [work folder](super::ReconcilerBuilder::work) holds an unfinished run of the same plan, that one goes on. All
    /// orders are on the disk, sorted, before the provider is asked for its first page. Nothing is changed, at the provider or in
    /// the store.
    ///
    /// # Errors
    /// See [`ReconcileError`]. What could not be found out is no error: the report is then incomplete, and says so.
    ///
    /// # Cancel safety
    /// Dropped, it leaves its work folder as it is, and a later run goes on from there. A temporary folder is removed.
    pub async fn run<S>(&self, orders: S) -> Result<Reconciliation, ReconcileError>
    where
        S: Stream<Item = Result<OrderRecord, UnusableOrder>> + Send,
    {
        let (folder, planned) = self.open().await?;
        let mut plan = self.plan(planned.as_ref());
        if planned.is_none() && self.settings.since.is_none() {
            return Err(ReconcileError::WindowUnset);
        }
        if plan.since >= plan.until {
            return Err(ReconcileError::WindowEmpty { since: plan.since, until: plan.until });
        }
        if let Some(planned) = &planned {
            planned.refuse_other(&plan, false)?;
        }
        let spooled = spool(orders, &folder, &self.judge(&plan), self.settings.sort_memory).await?;
        (plan.orders, plan.orders_read, plan.orders_unusable) = (spooled.digest, spooled.read, spooled.unusable);
        plan.orders_by_payment = spooled.by_payment.into_iter().map(|run| format!("{ORDERS}/{run}").into()).collect();
        let (plan, log) = match planned {
            Some(planned) => {
                planned.refuse_other(&plan, true)?;
                let log = off_thread(&folder, |folder| {
                    fs::remove_dir_all(folder.file(NEW_ORDERS))?;
                    Log::open(folder)
                });
                (planned, log.await?)
            }
            None => off_thread(&folder, move |folder| begin(folder, plan)).await?,
        };
        self.go_on(folder, plan, log).await
    }

    /// Goes on with the run that the work folder holds, whose orders it has: without reading them again. A finished run gives its
    /// report again; a list that broke off goes on. A single look-up that failed is not made again: a new run of the window does.
    ///
    /// What is not set of [`since`](super::ReconcilerBuilder::since), [`until`](super::ReconcilerBuilder::until) and
    /// [`orders_as_of`](super::ReconcilerBuilder::orders_as_of) is as that run has it.
    ///
    /// # Errors
    /// As for [`run`](Self::run); [`ReconcileError::OrdersMissing`] where there is no such run.
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub async fn resume(&self) -> Result<Reconciliation, ReconcileError> {
        let folder = self.settings.work.clone().ok_or(ReconcileError::OrdersMissing)?;
        let folder = Arc::new(off_thread_alone(move || WorkFolder::open(Some(&folder))).await?);
        let read = off_thread(&folder, |folder| {
            let plan = RunPlan::read(folder)?.filter(|_| has_orders(folder.path()) || folder.file(SUMMARY).exists());
            Ok((plan, Log::open(folder)?))
        });
        let (Some(planned), log) = read.await? else { return Err(ReconcileError::OrdersMissing) };
        planned.refuse_other(&self.plan(Some(&planned)), false)?;
        if log.progress(RunPhase::Finished).is_done {
            let summary = off_thread(&folder, |folder| Ok(serde_json::from_slice(&fs::read(folder.file(SUMMARY))?)?));
            return Ok(Reconciliation { summary: summary.await?, folder });
        }
        self.go_on(folder, planned, log).await
    }

    /// Opens the folder, and reads the plan of its unfinished run, if it holds one.
    async fn open(&self) -> Result<(Arc<WorkFolder>, Option<RunPlan>), ReconcileError> {
        let path = self.settings.work.clone();
        let folder = Arc::new(off_thread_alone(move || WorkFolder::open(path.as_deref())).await?);
        let planned = off_thread(&folder, |folder| {
            let is_over = Log::open(folder)?.has(RunPhase::Finished);
            Ok(RunPlan::read(folder)?.filter(|_| !is_over))
        });
        let planned = planned.await?;
        Ok((folder, planned))
    }

    /// What this run is to do. What is not set is as it was planned before.
    fn plan(&self, planned: Option<&RunPlan>) -> RunPlan {
        let settings = &self.settings;
        let began = planned.map_or_else(|| since_1970().as_secs(), |planned| planned.began);
        let identity = self.validator.0.account.identity.fingerprint("reconcile", &[]).to_text();
        let mut plan = RunPlan::new(identity, self.digest_of_settings());
        let or_planned = |set: Option<u64>, of: fn(&RunPlan) -> u64, or: u64| set.or(planned.map(of)).unwrap_or(or);
        plan.since = or_planned(settings.since, |plan| plan.since, 0);
        plan.until = or_planned(settings.until, |plan| plan.until, began.saturating_sub(SETTLING));
        plan.orders_as_of = or_planned(settings.orders_as_of, |plan| plan.orders_as_of, began);
        plan.began = began;
        plan
    }

    /// A digest of what decides beside the window: the validator's rules, and how far a run looks.
    fn digest_of_settings(&self) -> String {
        let settings = &self.settings;
        let rules = format!("{:?}", self.validator.0.rules);
        let numbers = format!(
            "{} {} {} {} {} {} {}",
            settings.look_back,
            settings.look_back_for_changes,
            settings.pending_after,
            settings.too_recent,
            settings.recent,
            settings.confirm,
            settings.redemptions.as_str(),
        );
        Fingerprint::of("reconcile settings", [Some(rules.as_bytes()), Some(numbers.as_bytes())]).to_text()
    }

    fn judge(&self, plan: &RunPlan) -> CaseJudge {
        let settings = &self.settings;
        CaseJudge {
            lookups: self.validator.0.handle(),
            since: plan.since,
            until: plan.until,
            orders_as_of: plan.orders_as_of,
            began: plan.began,
            look_back: settings.look_back,
            longest_carried: settings.look_back_for_changes,
            pending_after: settings.pending_after,
            too_recent: settings.too_recent,
            recent: settings.recent,
        }
    }

    async fn go_on(&self, folder: Arc<WorkFolder>, plan: RunPlan, log: Log) -> Result<Reconciliation, ReconcileError> {
        let caller = Caller::new(self.validator.clone(), self.settings.pace);
        let mut run = Run { reconciler: self, folder, plan, log, caller, missing: Vec::new(), forgotten: Vec::new() };
        run.list().await?;
        let passes = run.look_up().await?;
        let judging = passes.clone();
        let found = off_thread(&run.folder, move |_| judging.judge()).await?;
        let (found, confirmable, fresh) = run.confirm(&passes, found).await?;
        run.report(passes, found, confirmable, fresh).await
    }
}

/// Makes a folder ready for a new run: what the run before left to this one stays, and nothing else.
fn begin(folder: &WorkFolder, plan: RunPlan) -> io::Result<(RunPlan, Log)> {
    RunPlan::remove(folder)?;
    for (next, left) in [(CARRIED_NEXT, CARRIED), (ALIASES_NEXT, ALIASES)] {
        if folder.file(next).exists() {
            rename(&folder.file(next), &folder.file(left))?;
        }
    }
    clear(folder, CARRIED)?;
    remove(&folder.file(SUMMARY))?;
    if folder.file(ORDERS).exists() {
        fs::remove_dir_all(folder.file(ORDERS))?;
    }
    rename(&folder.file(NEW_ORDERS), &folder.file(ORDERS))?;
    let log = Log::begin(folder)?;
    plan.write(folder)?;
    Ok((plan, log))
}

impl Run<'_> {
    /// Lists payments and changes. Where either goes on after it broke off, what was looked up by it is looked up anew.
    async fn list(&mut self) -> Result<(), ReconcileError> {
        let settings = &self.reconciler.settings;
        let (since, until, memory) = (self.plan.since, self.plan.until, settings.sort_memory);
        let lists = [
            (RunPhase::Payments, ListOf::Payments, since.saturating_sub(settings.look_back), until),
            (
                RunPhase::Changes,
                ListOf::Changes,
                since.saturating_sub(settings.look_back_for_changes),
                until.max(self.plan.began),
            ),
        ];
        for (phase, what, from, to) in lists {
            let was_done = self.log.progress(phase).is_done;
            let files = (&self.folder, &mut self.log);
            let missing = list(&mut self.caller, files, (phase, what), (from, to, since), memory).await?;
            self.missing.extend(missing);
            if self.log.progress(phase).is_cut {
                self.forgotten
                    .push(format!("{}: the provider has forgotten a part of the window", what.as_str()).into());
            }
            if !was_done && self.log.has(RunPhase::LookUps) {
                for phase in [RunPhase::LookUps, RunPhase::Confirmation] {
                    self.log.add(LogStep { is_anew: true, ..LogStep::of(phase) })?;
                }
            }
        }
        Ok(())
    }

    /// Looks up what has to be, and says where everything is.
    async fn look_up(&mut self) -> Result<Passes, ReconcileError> {
        let settings = &self.reconciler.settings;
        let mut passes = Passes {
            folder: self.folder.path().to_owned(),
            judge: self.reconciler.judge(&self.plan),
            by_payment: self.plan.orders_by_payment.clone(),
            memory: settings.sort_memory,
            most_looked_up: settings.confirm,
        };
        for phase in [RunPhase::Payments, RunPhase::Changes] {
            passes.by_payment.extend(self.log.progress(phase).runs);
        }
        for left in [CARRIED, ALIASES] {
            if self.folder.file(left).exists() {
                passes.by_payment.push(left.into());
            }
        }
        let finding = passes.clone();
        let (mut ids, remembered) = off_thread(&self.folder, move |folder| {
            let remembered = finding.find_what_to_look_up()?;
            Ok((Merge::open(folder.path(), "to-look-up", &[TO_LOOK_UP.into()])?, remembered))
        })
        .await?;
        passes.by_payment.extend(remembered);
        let next = move || {
            let id = ids.head().map(|(id, _)| String::from_utf8_lossy(id).into());
            ids.advance()?;
            Ok(id)
        };
        let files = (&self.folder, &mut self.log);
        let missing = look_up(&mut self.caller, files, RunPhase::LookUps, next, settings.sort_memory / 4).await?;
        self.missing.extend(missing);
        passes.by_payment.extend(self.log.progress(RunPhase::LookUps).runs);
        if settings.redemptions == AskRedemptions::All {
            let payments = passes.with_money()?;
            let runs = self.ask_redemptions(&passes, "all-redeemed", payments).await?;
            passes.by_payment.extend(runs);
        }
        Ok(passes)
    }

    async fn ask_redemptions<B>(
        &mut self,
        passes: &Passes,
        name: &'static str,
        payments: B,
    ) -> Result<Vec<Box<str>>, ReconcileError>
    where
        B: FnMut() -> io::Result<Vec<Box<str>>> + Send + 'static,
    {
        let RedemptionsAsked { runs, missing } =
            ask(&self.reconciler.validator, &self.folder, passes, name, payments).await?;
        self.missing.extend(missing);
        Ok(runs)
    }

    /// Asks afresh about what was found.
    async fn confirm(
        &mut self,
        passes: &Passes,
        found: FoundCases,
    ) -> Result<(FoundCases, Confirmable, FreshFacts), ReconcileError> {
        let settings = &self.reconciler.settings;
        let (finding, limit) = (passes.clone(), settings.confirm);
        let (found, mut confirmable) = off_thread(&self.folder, move |_| {
            let confirmable = finding.find_what_confirms(&found, limit)?;
            Ok((found, confirmable))
        })
        .await?;
        let ids = each_of(std::mem::take(&mut confirmable.payments));
        let files = (&self.folder, &mut self.log);
        let missing = look_up(&mut self.caller, files, RunPhase::Confirmation, ids, settings.sort_memory / 4).await?;
        self.missing.extend(missing);
        let (reading, runs) = (passes.clone(), self.log.progress(RunPhase::Confirmation).runs);
        let is_asked = settings.redemptions != AskRedemptions::No;
        let (found, confirmable, mut fresh, asked) = off_thread(&self.folder, move |_| {
            let fresh = reading.fresh(&runs)?;
            let asked =
                if is_asked { reading.find_what_is_redeemed(&found, &confirmable, &fresh)? } else { Vec::new() };
            Ok((found, confirmable, fresh, asked))
        })
        .await?;
        if !asked.is_empty() {
            let mut asked = Some(asked);
            let runs = self.ask_redemptions(passes, "redeemed", move || Ok(asked.take().unwrap_or_default())).await?;
            let reading = passes.clone();
            let adding = off_thread(&self.folder, move |_| {
                reading.add_redeemed(&runs, &mut fresh)?;
                Ok(fresh)
            });
            fresh = adding.await?;
        }
        Ok((found, confirmable, fresh))
    }

    /// Writes the report, and then that the run is over.
    async fn report(
        self,
        passes: Passes,
        mut found: FoundCases,
        confirmable: Confirmable,
        fresh: FreshFacts,
    ) -> Result<Reconciliation, ReconcileError> {
        let mut summary = self.summary();
        let known = Acceptances::of(self.reconciler, self.plan.orders_as_of);
        let Self { folder, mut log, missing, forgotten, .. } = self;
        off_thread(&folder, move |folder| {
            let confirmed = passes.confirm(&mut found, &confirmable, &fresh)?;
            summary.counts.kinds = std::mem::take(&mut found.kinds);
            summary.counts.payments = found.listed;
            let is_done = missing.is_empty();
            summary.missing = [missing, forgotten].concat();
            if summary.counts.unreadable_items > 0 {
                let text = format!("{} items of the provider's lists cannot be read", summary.counts.unreadable_items);
                summary.missing.push(text.into());
            }
            known.write_report(folder, confirmed, &mut summary, &passes.judge)?;
            write_carried(folder, &found)?;
            write_whole(&folder.file(SUMMARY), &serde_json::to_vec(&summary)?)?;
            log.add(LogStep { is_done, ..LogStep::of(RunPhase::Finished) })?;
            if is_done {
                clear_finished(folder)?;
            }
            Ok(summary)
        })
        .await
        .map(|summary| Reconciliation { folder: Arc::clone(&folder), summary })
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary {
            since: self.plan.since,
            until: self.plan.until,
            orders_as_of: self.plan.orders_as_of,
            ..Summary::default()
        };
        let counts = &mut summary.counts;
        (counts.orders, counts.unusable_orders) = (self.plan.orders_read, self.plan.orders_unusable);
        let [payments, changes, look_ups, confirmation] =
            [RunPhase::Payments, RunPhase::Changes, RunPhase::LookUps, RunPhase::Confirmation]
                .map(|phase| self.log.progress(phase));
        counts.changes = changes.items;
        counts.pages = payments.calls.saturating_add(changes.calls);
        counts.unreadable_items = payments.unreadable.saturating_add(changes.unreadable);
        counts.look_ups = look_ups.calls.saturating_add(confirmation.calls);
        summary
    }
}
