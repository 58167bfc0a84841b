//! What an idempotent endpoint does, one rule after the other.

use futures_util::future::try_join_all;

use crate::trouble::Trouble;

use super::answer::EndpointAnswer;
use super::target::{Target, new_key};
use super::{CheckReport, CheckResult};

use CheckResult::{Broken, Holds, Unknown, Unseen};

const IN_PROGRESS: u16 = 409;

/// Runs every check. Stops early only where the next one would say nothing.
pub(crate) async fn run(target: &Target, duplicates: u8, report: &mut CheckReport) -> Result<(), Trouble> {
    let key = new_key();
    let mut counted = Counted { target, effects: count(target).await? };
    let (first, effects) = counted.ask(Some(&key), &target.body).await?;
    let rule = "a first request runs";
    if !first.is_success() {
        let status = first.status;
        let text = format!("it was answered {status}; give a body and headers that it accepts (--body, --header-env)");
        return report.say(rule, &Unknown(text));
    }
    let finding = match effects {
        _ if first.is_replayed => Broken("it is marked as replayed; do not replay what never ran".to_owned()),
        Some(1) | None => Holds(format!("status {}", first.status)),
        Some(effects) => Broken(format!("it had {effects} effects by the probe; it must have one")),
    };
    report.say(rule, &finding)?;

    let (again, effects) = counted.ask(Some(&key), &target.body).await?;
    duplicate(&first, &again, effects, report)?;

    let body = target.new_body.as_ref().unwrap_or(&target.body);
    let (other, effects) = counted.ask(Some(&new_key()), body).await?;
    report.say("another key runs anew", &anew(&other, effects, target.new_body.is_some()))?;

    let (reused, effects) = counted.ask(Some(&key), &target.other_body).await?;
    report.say("another body with the same key is refused", &refused(&reused, 422, effects))?;

    let (keyless, effects) = counted.ask(None, &target.body).await?;
    report.say("a missing key is refused", &refused(&keyless, 400, effects))?;

    let finding = at_once(target, duplicates).await?;
    report.say(&format!("{duplicates} concurrent duplicates run once"), &finding)
}

/// The endpoint, and how many effects there were so far, where a probe tells.
struct Counted<'t> {
    target: &'t Target,
    effects: Option<u64>,
}

impl Counted<'_> {
    /// An answer, and how many effects its request had.
    async fn ask(&mut self, key: Option<&str>, body: &str) -> Result<(EndpointAnswer, Option<u64>), Trouble> {
        let answer = self.target.ask(key, body).await?;
        let before = std::mem::replace(&mut self.effects, count(self.target).await?);
        Ok((answer, effects(before, self.effects)))
    }
}

async fn count(target: &Target) -> Result<Option<u64>, Trouble> {
    match &target.probe {
        Some(probe) => Ok(Some(probe.count().await?)),
        None => Ok(None),
    }
}

/// What happened in between, where a probe tells.
fn effects(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    Some(after?.saturating_sub(before?))
}

fn duplicate(
    first: &EndpointAnswer,
    again: &EndpointAnswer,
    effects: Option<u64>,
    report: &mut CheckReport,
) -> Result<(), Trouble> {
    let rule = "a duplicate gets the same answer";
    let finding = if again.status != first.status {
        Broken(format!("{} instead of {}; replay the status", again.status, first.status))
    } else if again.body != first.body {
        Broken("another body; replay the body byte for byte".to_owned())
    } else if let Some(effects @ 1..) = effects {
        Broken(format!("but it had {effects} effects of its own by the probe; replay without running"))
    } else {
        Holds(format!("status {}, {} bytes", again.status, again.body.len()))
    };
    report.say(rule, &finding)?;
    let finding = if again.is_replayed {
        Holds("Idempotent-Replayed: true".to_owned())
    } else {
        Broken("the header Idempotent-Replayed: true is missing; set it on replays".to_owned())
    };
    report.say("a duplicate is marked as replayed", &finding)
}

/// `is_new` says that the request may have an effect of its own. Without such a one an endpoint that lets it have none may be
/// right: a payment pays one order.
fn anew(other: &EndpointAnswer, effects: Option<u64>, is_new: bool) -> CheckResult {
    let is_seen = effects == Some(1) || effects.is_none();
    match effects {
        _ if other.is_replayed => Broken("it was replayed; keep the answers of different keys apart".to_owned()),
        Some(effects @ 2..) => Broken(format!("it had {effects} effects by the probe; it must have one")),
        Some(1) if other.is_success() => Holds("one more effect".to_owned()),
        _ if !(is_new || is_seen && other.is_success()) => Unseen(format!(
            "NOT CHECKED: the same body had no further effect (status {}), which may be right; give a body that may have \
             one, with --new-body",
            other.status
        )),
        _ if !other.is_success() => {
            Unknown(format!("it was answered {}; give --new-body a body that it accepts", other.status))
        }
        Some(_) => Broken("it had no effect by the probe; it must have one".to_owned()),
        None => Holds(format!("status {}, not replayed", other.status)),
    }
}

fn refused(answer: &EndpointAnswer, with: u16, effects: Option<u64>) -> CheckResult {
    match effects {
        Some(effects @ 1..) => Broken(format!("it had {effects} effects by the probe; refuse it with {with}")),
        _ if answer.status == with => Holds(format!("status {with}")),
        _ => Broken(format!("it was answered {}; refuse it with {with}", answer.status)),
    }
}

/// All start at one moment, as nearly as they can, under a key that was never used.
async fn at_once(target: &Target, duplicates: u8) -> Result<CheckResult, Trouble> {
    let (key, body) = (new_key(), target.concurrent_body.as_ref().unwrap_or(&target.body));
    let before = count(target).await?;
    let answers = try_join_all((0..duplicates).map(|_| target.ask(Some(&key), body))).await?;
    let effects = effects(before, count(target).await?);
    let (waited, told): (Vec<&EndpointAnswer>, Vec<&EndpointAnswer>) =
        answers.iter().partition(|answer| answer.status == IN_PROGRESS);
    let firsts = told.iter().filter(|answer| !answer.is_replayed).count();
    let finding = match (told.first(), effects) {
        (_, Some(effects @ 2..)) => {
            Broken(format!("they had {effects} effects by the probe; claim the key before running"))
        }
        (Some(one), _) if !told.iter().all(|other| other.equals(one)) => {
            Broken("they got different answers; let duplicates wait for the first, or refuse them with 409".to_owned())
        }
        (Some(_), _) if firsts > 1 => Broken(format!("{firsts} are not marked as replayed; one at most may run")),
        (None, _) if target.concurrent_body.is_none() => Unseen(
            "NOT CHECKED: all were refused with 409, which may be right for a body that had its effect; give another one, with \
             --concurrent-body"
                .to_owned(),
        ),
        (None, _) => Unknown("all were refused as in progress; try again".to_owned()),
        (Some(one), None | Some(0)) if target.concurrent_body.is_none() && (effects.is_some() || !one.is_success()) => {
            Unseen(format!(
                "NOT CHECKED: the same body had no further effect (status {}), which may be right; give a body that may \
                 have one, with --concurrent-body",
                one.status
            ))
        }
        (Some(one), _) if !one.is_success() => Unknown(format!("they were answered {}; try again", one.status)),
        (Some(_), Some(1)) => {
            Holds(format!("one effect, {} same answers, {} refused as in progress", told.len(), waited.len()))
        }
        (Some(_), Some(_)) => Broken("they had no effect by the probe; is it the right one?".to_owned()),
        (Some(_), None) => Unknown(
            "NOT CHECKED, since the effects are not counted; name an address that counts them, with --probe".to_owned(),
        ),
    };
    Ok(finding)
}
