//! One run, from its orders to its report.

use std::fs;
use std::io;
use std::mem::take;
use std::sync::Arc;

use futures_util::Stream;

use crate::provider::ListOf;

use super::aliases::changes_by_alias;
use super::builder::AskRedemptions;
use super::calls::{Caller, PhaseLookUps, each_of, list, look_up};
use super::confirm::{Confirmable, FreshFacts};
use super::decided::FoundCases;
use super::error::ReconcileError;
use super::finish::{Acceptances, clear, clear_finished, write_carried, write_report};
use super::folder::{WorkFolder, remove, rename, write_whole};
use super::judge::CaseJudge;
use super::left::{ALIASES, ALL_LEFT, CARRIED};
use super::merge::Merge;
use super::order::{OrderRecord, UnusableOrder};
use super::passes::{Passes, TO_LOOK_UP};
use super::plan::{Log, LogStep, RunPhase, RunPlan};
use super::planning::LeftRun;
use super::redemptions::{RedemptionsAsked, ask};
use super::report::Reconciliation;
use super::spool::{NEW_ORDERS, ORDERS, has_orders, spool};
use super::summary::{ReconcileCounts, Summary};
use super::{Reconciler, off_thread, off_thread_alone};

/// The numbers of a report.
const SUMMARY: &str = "summary.json";

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
    look_ups: u64,
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
        let (folder, left) = self.open().await?;
        let (mut plan, goes_on) = self.plan_beside(left.as_ref())?;
        let spooled = spool(orders, &folder, &self.judge(&plan), self.settings.sort_memory).await?;
        (plan.orders, plan.orders_read) = (spooled.digest, spooled.read);
        (plan.orders_unusable, plan.orders_nameless) = (spooled.unusable, spooled.nameless);
        plan.orders_by_payment = spooled.by_payment.into_iter().map(|run| format!("{ORDERS}/{run}").into()).collect();
        let (plan, log) = match left.filter(|_| goes_on) {
            Some(LeftRun { plan: planned, .. }) => {
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
    /// report again; a list that broke off goes on, and look-ups that failed are made again.
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
            is_alias_unknown: false,
        }
    }

    async fn go_on(&self, folder: Arc<WorkFolder>, plan: RunPlan, log: Log) -> Result<Reconciliation, ReconcileError> {
        let caller = Caller::new(self.validator.clone(), self.settings.pace);
        let mut run = Run {
            reconciler: self,
            folder,
            plan,
            log,
            caller,
            missing: Vec::new(),
            forgotten: Vec::new(),
            look_ups: 0,
        };
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
    let was_whole = Log::open(folder)?.progress(RunPhase::Finished).is_done;
    RunPlan::remove(folder)?;
    for left in ALL_LEFT {
        left.take_over(folder.path(), was_whole)?;
    }
    clear(folder, None)?;
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
            let missing = list(&mut self.caller, files, (phase, what), (from..to, since..until), memory).await?;
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
        passes.by_payment.extend([CARRIED, ALIASES].iter().filter_map(|left| left.known(self.folder.path())));
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
        let answers = look_up(&mut self.caller, files, RunPhase::LookUps, next, settings.sort_memory / 4).await?;
        self.note_look_ups(answers);
        let looked_up = self.log.progress(RunPhase::LookUps).runs;
        let changed = [self.log.progress(RunPhase::Changes).runs, looked_up.clone()].concat();
        let memory = settings.sort_memory / 8;
        let by_alias = off_thread(&self.folder, move |folder| changes_by_alias(folder.path(), &changed, memory));
        passes.by_payment.extend(by_alias.await?);
        passes.by_payment.extend(looked_up.iter().cloned());
        let asking = passes.clone();
        passes.judge.is_alias_unknown = off_thread(&self.folder, move |_| asking.is_alias_unknown(&looked_up)).await?;
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
        let ids = each_of(take(&mut confirmable.payments));
        let files = (&self.folder, &mut self.log);
        let answers = look_up(&mut self.caller, files, RunPhase::Confirmation, ids, settings.sort_memory / 4).await?;
        self.note_look_ups(answers);
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
        mut self,
        passes: Passes,
        mut found: FoundCases,
        confirmable: Confirmable,
        fresh: FreshFacts,
    ) -> Result<Reconciliation, ReconcileError> {
        let mut summary = self.summary();
        self.note_missing(&summary.counts);
        let known = Acceptances::of(self.reconciler, self.plan.orders_as_of);
        let Self { folder, mut log, missing, forgotten, .. } = self;
        off_thread(&folder, move |folder| {
            let runs = passes.confirm(&mut found, &confirmable, &fresh)?;
            summary.is_incomplete = !missing.is_empty();
            summary.missing = [missing, forgotten].concat();
            let is_whole = !summary.is_incomplete;
            let news =
                passes.leave_news(&[runs, take(&mut found.standing)].concat(), &known, is_whole, &mut found.kinds)?;
            summary.counts.kinds = take(&mut found.kinds);
            summary.counts.payments = found.listed;
            write_report(folder, news, &mut summary, &passes.judge)?;
            write_carried(folder, &found)?;
            write_whole(&folder.file(SUMMARY), &serde_json::to_vec(&summary)?)?;
            log.add(LogStep { is_done: is_whole, ..LogStep::of(RunPhase::Finished) })?;
            if is_whole {
                clear_finished(folder)?;
            }
            Ok(summary)
        })
        .await
        .map(|summary| Reconciliation { folder: Arc::clone(&folder), summary })
    }

    fn note_look_ups(&mut self, PhaseLookUps { payments, missing }: PhaseLookUps) {
        self.look_ups = self.look_ups.saturating_add(payments);
        self.missing.extend(missing);
    }

    /// Notes what is missing beside what broke off.
    fn note_missing(&mut self, counts: &ReconcileCounts) {
        if self.plan.orders_nameless > 0 {
            let text = "lines of the orders name neither an order nor a payment";
            self.missing.push(format!("orders: {} {text}", self.plan.orders_nameless).into());
        }
        if counts.unreadable_items > 0 {
            let text = format!("{} items of the provider's lists cannot be read", counts.unreadable_items);
            self.forgotten.push(text.into());
        }
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
        let [payments, changes] = [RunPhase::Payments, RunPhase::Changes].map(|phase| self.log.progress(phase));
        counts.changes = changes.items;
        counts.pages = payments.calls.saturating_add(changes.calls);
        counts.unreadable_items = payments.unreadable.saturating_add(changes.unreadable);
        counts.look_ups = self.look_ups;
        summary
    }
}
