//! What people decided: who said what became of an operation or a request, and who undid a redemption.
//!
//! Decisions stand in the store in records of their own, one for each day and further ones where a day is full. A decision is
//! written before it is made, so that none is made without its record, and taken back where it turns out not to be made. After a
//! crash or a lost reply in between it stands although it may not have been made.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::accessors::{getters, named};
use crate::ledger::{Change, Contents, Held, Key, LedgerError, Nonce, RecordKind, State, Versioned};
use crate::moment::since_1970;
use crate::redaction::presentable_in_bytes;

use super::Account;

/// As long as what is decided about: a guarded write is remembered for 400 days.
const KEPT_FOR: Duration = Duration::from_secs(400 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// At the longest texts they fill most of a record.
const MOST_OF_PAGE: usize = 400;

/// Of one day.
const MOST_PAGES: u64 = 8;

/// Further ones are refused, since they could not be recorded.
const MOST_OF_DAY: u64 = MOST_PAGES * MOST_OF_PAGE as u64;

/// The most bytes of each text.
const LONGEST_WHO: usize = 100;
const LONGEST_SUBJECT: usize = 255;
const LONGEST_ABOUT: usize = 200;

named! {
    /// What a decision is about.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum DecidedOn {
        /// A guarded operation.
        Operation = "operation",
        /// A request with an idempotency key.
        Request = "request",
        /// A redemption.
        Redemption = "redemption",
    } as_str(self: Self)
}

named! {
    /// What was decided.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum Decided {
        /// It was executed.
        Done = "done",
        /// It was not executed.
        NotExecuted = "not_executed",
        /// The redemption is undone.
        Released = "released",
    } as_str(self: Self)
}

/// A decision of a person, as [`Validator::decisions`](crate::Validator::decisions) finds it in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDecision {
    number: [u8; 16],
    at_s: u64,
    who: Box<str>,
    on: DecidedOn,
    subject: Box<str>,
    about: Box<str>,
    decided: Decided,
}

impl SignedDecision {
    getters! {
        /// When, by the clock of the process that recorded it, to the second.
        pub fn at(&self) -> SystemTime => UNIX_EPOCH.checked_add(Duration::from_secs(self.at_s)).unwrap_or(UNIX_EPOCH);

        /// Who decided, as was stated.
        pub fn who(&self) -> &str => &self.who;

        /// What kind of thing it is about.
        pub fn on(&self) -> DecidedOn => self.on;

        /// Which one: the reference of an operation or a request, or the payment of a redemption.
        pub fn subject(&self) -> &str => &self.subject;

        /// What is known of it beside: tenant and name of an operation or a request that was listed, tenant and order of a
        /// redemption. Empty where nothing is.
        pub fn about(&self) -> &str => &self.about;

        /// What was decided.
        pub fn decided(&self) -> Decided => self.decided;
    }
}

/// What is about to be decided, by whom.
pub(crate) struct Deciding<'d> {
    pub(crate) who: &'d str,
    pub(crate) on: DecidedOn,
    pub(crate) subject: &'d str,
    pub(crate) about: &'d str,
    pub(crate) decided: Decided,
}

/// What a record holds: some of a day's decisions, the first first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct DecisionsPage {
    decisions: Vec<SignedDecision>,
}

impl Versioned<'_> for DecisionsPage {}

impl Account {
    /// Records a decision and makes it. Its record goes where it was certainly not made: as the store says, or `is_void` of what
    /// came of it.
    ///
    /// # Errors
    /// Where it cannot be recorded, and is not made; or where making it fails.
    pub(crate) async fn decide<T>(
        &self,
        deciding: Deciding<'_>,
        make: impl Future<Output = Result<T, LedgerError>> + Send,
        is_void: impl FnOnce(&T) -> bool,
    ) -> Result<T, LedgerError> {
        let decision = deciding.signed()?;
        let key = self.write_decision(&decision).await?;
        let outcome = make.await;
        let is_void = match &outcome {
            Ok(said) => is_void(said),
            Err(error) => !error.is_outcome_unknown(),
        };
        if is_void && let Err(error) = self.withdraw(&key, &decision).await {
            self.telemetry.store_failed(&error);
        }
        outcome
    }

    /// The decisions of so many days, today among them, the latest first.
    pub(crate) async fn decisions(&self, days: u32) -> Result<Vec<SignedDecision>, LedgerError> {
        // A process whose clock is ahead may have decided tomorrow.
        let today = since_1970().as_secs() / DAY;
        let days = today.saturating_sub(u64::from(days).saturating_sub(1))..=today.saturating_add(1);
        let keys: Vec<_> =
            days.flat_map(|day| (0..MOST_PAGES).map(move |page| self.decisions_key(day, page))).collect();
        let mut all = Vec::new();
        for found in self.ledger.get_many(&keys).await {
            if let Some(found) = found? {
                all.extend(read(&found)?.decisions);
            }
        }
        all.sort_by_key(|decision| std::cmp::Reverse(decision.at_s));
        Ok(all)
    }

    /// Writes a decision, and says where.
    async fn write_decision(&self, decision: &SignedDecision) -> Result<Key, LedgerError> {
        for page in 0..MOST_PAGES {
            let key = self.decisions_key(decision.at_s / DAY, page);
            let written = self.change_decisions(&key, |decisions| {
                let has_room = decisions.len() < MOST_OF_PAGE;
                if has_room && !decisions.contains(decision) {
                    decisions.push(decision.clone());
                }
                has_room
            });
            if written.await? {
                return Ok(key);
            }
        }
        let retry_after = Duration::from_secs(DAY.saturating_sub(decision.at_s % DAY));
        Err(LedgerError::DecisionsFull { most: MOST_OF_DAY, retry_after })
    }

    async fn withdraw(&self, key: &Key, decision: &SignedDecision) -> Result<(), LedgerError> {
        let withdrawn = self.change_decisions(key, |decisions| {
            let before = decisions.len();
            decisions.retain(|one| one != decision);
            decisions.len() < before
        });
        withdrawn.await.map(drop)
    }

    /// Changes a page, where `change` says that it did.
    async fn change_decisions(
        &self,
        key: &Key,
        change: impl Fn(&mut Vec<SignedDecision>) -> bool,
    ) -> Result<bool, LedgerError> {
        let change = |found: Option<&Held>| {
            let mut page = found.map(read).transpose()?.unwrap_or_default();
            if !change(&mut page.decisions) {
                return Ok((Change::Keep, false));
            }
            let (payload, lease) = (key.payload_of(&page)?, Duration::ZERO);
            Ok((Change::Write(Contents { state: State::Settled, ttl: KEPT_FOR, lease, payload }), true))
        };
        self.ledger.update(key, change).await
    }

    fn decisions_key(&self, day: u64, page: u64) -> Key {
        let (day, page) = (day.to_string(), page.to_string());
        self.ledger.key(RecordKind::Decision, &self.identity.fingerprint("decisions", &[&day, &page]))
    }
}

impl Deciding<'_> {
    fn signed(&self) -> Result<SignedDecision, LedgerError> {
        let number = Nonce::draw()?.into_bytes();
        Ok(SignedDecision {
            number,
            at_s: since_1970().as_secs(),
            who: presentable_in_bytes(self.who, LONGEST_WHO),
            on: self.on,
            subject: presentable_in_bytes(self.subject, LONGEST_SUBJECT),
            about: presentable_in_bytes(self.about, LONGEST_ABOUT),
            decided: self.decided,
        })
    }
}

fn read(held: &Held) -> Result<DecisionsPage, LedgerError> {
    held.payload("holds no decisions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;

    fn decision(on: DecidedOn, decided: Decided, text: &str) -> SignedDecision {
        let text = || text.into();
        SignedDecision {
            number: [7; 16],
            at_s: 1_764_000_000,
            who: text(),
            on,
            subject: text(),
            about: text(),
            decided,
        }
    }

    #[test]
    fn golden_files_hold_what_is_written_of_decisions() {
        let decisions = vec![
            decision(DecidedOn::Operation, Decided::Done, "one"),
            decision(DecidedOn::Request, Decided::NotExecuted, "two"),
            decision(DecidedOn::Redemption, Decided::Released, "three"),
        ];
        is_golden(RecordKind::Decision, 1, "day", State::Settled, false, &DecisionsPage { decisions });
        is_golden(RecordKind::Decision, 1, "empty", State::Settled, false, &DecisionsPage::default());
    }

    #[test]
    fn a_full_page_of_the_longest_texts_fits_a_record() {
        let long = "\u{e9}".repeat(1000);
        let (who, subject, about) = (&*long, &*long, &*long);
        let deciding = Deciding { who, on: DecidedOn::Request, subject, about, decided: Decided::NotExecuted };
        let page = DecisionsPage { decisions: vec![deciding.signed().unwrap(); MOST_OF_PAGE] };
        let bytes = page.write(1).unwrap().len();
        assert!((200 * 1024..250 * 1024).contains(&bytes), "{bytes}");
    }
}
