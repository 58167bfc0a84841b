//! What a run is to do, beside what the run before it left undone.

use std::sync::Arc;

use crate::intent::fingerprint::Fingerprint;
use crate::moment::since_1970;

use super::error::ReconcileError;
use super::folder::WorkFolder;
use super::plan::{Log, RunPhase, RunPlan};
use super::{Reconciler, off_thread, off_thread_alone};

/// So long before the run's beginning a window ends unless its end is set: what was paid since may be about to be ordered.
const SETTLING: u64 = 30 * 60;

/// A run that did not find out all of its window.
pub(super) struct LeftRun {
    pub(super) plan: RunPlan,
    /// Whether it came to a report.
    has_ended: bool,
}

impl Reconciler {
    /// Opens the folder, and reads the plan of its run that did not find out all of its window, if it holds one.
    pub(super) async fn open(&self) -> Result<(Arc<WorkFolder>, Option<LeftRun>), ReconcileError> {
        let path = self.settings.work.clone();
        let folder = Arc::new(off_thread_alone(move || WorkFolder::open(path.as_deref())).await?);
        let left = off_thread(&folder, |folder| {
            let log = Log::open(folder)?;
            let has_ended = log.has(RunPhase::Finished);
            let plan = RunPlan::read(folder)?.filter(|_| !log.progress(RunPhase::Finished).is_done);
            Ok(plan.map(|plan| LeftRun { plan, has_ended }))
        });
        let left = left.await?;
        Ok((folder, left))
    }

    /// What a run with new orders is to do, and whether it goes on with the run that was left. That one's window is not passed over:
    /// a run that begins anew has to cover it, and to have later orders where that one has not ended.
    pub(super) fn plan_beside(&self, left: Option<&LeftRun>) -> Result<(RunPlan, bool), ReconcileError> {
        let new = self.plan(None);
        let is_set = self.settings.since.is_some() || self.settings.length.is_some();
        let refused = match left {
            None => None,
            Some(LeftRun { plan: planned, has_ended }) => {
                let same = self.plan(Some(planned));
                let refused = planned.refuse_other(&same, false).err();
                if refused.is_none() && !has_ended {
                    return self.within_orders(same).map(|plan| (plan, true));
                }
                let is_later = *has_ended || new.orders_as_of > planned.orders_as_of;
                let replaces = is_set && is_later && planned.is_covered_by(&new);
                if replaces { None } else { planned.refuse_other(&new, false).err().or(refused) }
            }
        };
        match refused {
            Some(refused) => Err(refused),
            None if !is_set => Err(ReconcileError::WindowUnset),
            None => self.within_orders(new).map(|plan| (plan, false)),
        }
    }

    /// Refuses a window without a second in it, and one of which the orders do not tell all, where no later run would.
    fn within_orders(&self, plan: RunPlan) -> Result<RunPlan, ReconcileError> {
        let RunPlan { since, until, .. } = plan;
        if since >= until {
            return Err(ReconcileError::WindowEmpty { since, until });
        }
        let known_until = plan.orders_as_of.saturating_sub(self.settings.too_recent);
        if self.settings.work.is_none() && until > known_until {
            return Err(ReconcileError::WindowTooLate { until, known_until });
        }
        Ok(plan)
    }

    /// What this run is to do. What is not set is as it was planned before.
    pub(super) fn plan(&self, planned: Option<&RunPlan>) -> RunPlan {
        let settings = &self.settings;
        let began = planned.map_or_else(|| since_1970().as_secs(), |planned| planned.began);
        let identity = self.validator.0.account.identity.fingerprint("reconcile", &[]).to_text();
        let mut plan = RunPlan::new(identity, self.digest_of_settings());
        let or_planned = |set: Option<u64>, of: fn(&RunPlan) -> u64, or: u64| set.or(planned.map(of)).unwrap_or(or);
        plan.orders_as_of = or_planned(settings.orders_as_of, |plan| plan.orders_as_of, began);
        let known_until = plan.orders_as_of.saturating_sub(settings.too_recent);
        let until = known_until.min(began.saturating_sub(SETTLING));
        plan.until = or_planned(settings.until, |plan| plan.until, until);
        let since = settings.since.or_else(|| Some(plan.until.saturating_sub(settings.length?)));
        plan.since = or_planned(since, |plan| plan.since, 0);
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
}
