//! What is reconciled, over which time, and how much is asked for it.

use std::path::PathBuf;
use std::time::Duration;

use crate::accessors::{named, setters};
use crate::settings::build_error::BuildError;
use crate::validator::Validator;

use super::Reconciler;
use super::discrepancy::KnownDiscrepancy;
use super::sort::RUN_BYTES;

const MINUTE: u64 = 60;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

/// What is sorted in memory at least, so that a run is worth a file.
const LEAST_SORTED: usize = 4 << 10;

named! {
    /// Which payments the store is asked about, whether they were redeemed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum AskRedemptions {
        /// None.
        No = "no",
        /// Those that would be told to be without an order, or with one that is not marked as paid. The default.
        #[default]
        Candidates = "candidates",
        /// Every payment with which money was moved.
        All = "all",
    } as_str(self: Self)
}

/// Every setting of a [`Reconciler`]. Made by [`Validator::reconciler`].
///
/// | setting | default |
/// |---|---|
/// | [`since`](Self::since) | none: a run needs it, unless it goes on with one that broke off |
/// | [`length`](Self::length) | none: from `since` |
/// | [`until`](Self::until) | 30 minutes before the run begins, or before the orders were exported |
/// | [`orders_as_of`](Self::orders_as_of) | when the run begins |
/// | [`look_back`](Self::look_back) | 14 days |
/// | [`look_back_for_changes`](Self::look_back_for_changes) | 120 days |
/// | [`pending_after`](Self::pending_after) | 3 days; of a bank debit 14 days |
/// | [`too_recent`](Self::too_recent) | 30 minutes |
/// | [`recent`](Self::recent) | 3 days |
/// | [`confirm`](Self::confirm) | 10,000 look-ups |
/// | [`pace`](Self::pace) | 5 calls a second |
/// | [`redemptions`](Self::redemptions) | candidates |
/// | [`work`](Self::work) | a temporary folder, which is removed |
/// | [`known`](Self::known) | nothing |
/// | [`sort_memory`](Self::sort_memory) | 64 MiB |
#[derive(Clone, Debug)]
#[must_use]
pub struct ReconcilerBuilder {
    validator: Validator,
    settings: Settings,
}

/// What is set, or its default.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) since: Option<u64>,
    pub(super) length: Option<u64>,
    pub(super) until: Option<u64>,
    pub(super) orders_as_of: Option<u64>,
    pub(super) look_back: u64,
    pub(super) look_back_for_changes: u64,
    pub(super) pending_after: u64,
    pub(super) too_recent: u64,
    pub(super) recent: u64,
    pub(super) confirm: usize,
    pub(super) pace: u32,
    pub(super) redemptions: AskRedemptions,
    pub(super) work: Option<PathBuf>,
    pub(super) known: Vec<KnownDiscrepancy>,
    pub(super) sort_memory: usize,
}

impl ReconcilerBuilder {
    pub(super) fn of(validator: Validator) -> Self {
        let settings = Settings {
            since: None,
            length: None,
            until: None,
            orders_as_of: None,
            look_back: 14 * DAY,
            look_back_for_changes: 120 * DAY,
            pending_after: 3 * DAY,
            too_recent: 30 * MINUTE,
            recent: 3 * DAY,
            confirm: 10_000,
            pace: 5,
            redemptions: AskRedemptions::default(),
            work: None,
            known: Vec::new(),
            sort_memory: RUN_BYTES,
        };
        Self { validator, settings }
    }

    setters! {
        /// The window's first second, since 1970. A discrepancy is told if payment or order last changed in the window.
        pub fn since(mut self, unix_seconds: u64) => self.settings.since = Some(unix_seconds);

        /// How long the window is, in whole seconds: it begins so long before its end, unless [`since`](Self::since) is set. Runs by
        /// a clock do not meet to the second: a job that is to miss nothing sets `since` to where its last window ended.
        pub fn length(mut self, time: Duration) => self.settings.length = Some(time.as_secs());

        /// The window's end, in seconds since 1970. It is no part of the window, so that runs whose windows meet tell nothing
        /// twice. By default it ends half an hour before the run begins, and by [`too_recent`](Self::too_recent) before
        /// [`orders_as_of`](Self::orders_as_of). Without a [work folder](Self::work) it may not end later than that last.
        pub fn until(mut self, unix_seconds: u64) => self.settings.until = Some(unix_seconds);

        /// When the export of the orders began, in seconds since 1970: what changed later may be missing in it.
        pub fn orders_as_of(mut self, unix_seconds: u64) => self.settings.orders_as_of = Some(unix_seconds);

        /// How long before the window payments are listed from, by their creation: what is paid days after it was created is
        /// seen, and so is an order whose payment is older than the window. In whole seconds.
        ///
        /// Payments whose orders are told by a webhook that is lost are found within this time. One that is under way for
        /// longer is found too where a [work folder](Self::work) carries it from run to run.
        pub fn look_back(mut self, time: Duration) => self.settings.look_back = time.as_secs();

        /// How long before the window changes are listed from, so that it is known whether a refund or a dispute came before
        /// an order was shipped. In whole seconds.
        pub fn look_back_for_changes(mut self, time: Duration) => self.settings.look_back_for_changes = time.as_secs();

        /// How long a payment may be under way before it is told as pending, from its creation or from the end of what it
        /// waits for. In whole seconds, and at most [`look_back`](Self::look_back), or it would not be listed any more by then; a
        /// bank debit has 14 days at least.
        pub fn pending_after(mut self, time: Duration) => self.settings.pending_after = time.as_secs();

        /// Money of which the shop has not heard is only counted if that changed within this time before
        /// [`orders_as_of`](Self::orders_as_of): it may be about to. In whole seconds. The next run over a work folder looks at
        /// it again; without one the window has to end before.
        pub fn too_recent(mut self, time: Duration) => self.settings.too_recent = time.as_secs();

        /// Money of which the shop has not heard is marked as recent if that changed within this time before
        /// [`orders_as_of`](Self::orders_as_of), since the provider may still deliver a webhook again. In whole seconds.
        pub fn recent(mut self, time: Duration) => self.settings.recent = time.as_secs();

        /// How many look-ups confirm what was found, at most, and how many find payments that orders name and the provider did
        /// not list. What is beyond is told as unconfirmed.
        pub fn confirm(mut self, look_ups: usize) => self.settings.confirm = look_ups;

        /// How many calls to the provider are begun in a second, at most: 1 to 1,000.
        pub fn pace(mut self, calls_a_second: u32) => self.settings.pace = calls_a_second;

        /// Which payments the store is asked about. Without a store that every process sees none is.
        pub fn redemptions(mut self, which: AskRedemptions) => self.settings.redemptions = which;

        /// The folder that a run works in, and goes on from if it broke off. Payments that are not final are carried in it
        /// from run to run until they are, and so is what was told and stands: give every run of one account the same, and none to
        /// two accounts.
        ///
        /// It is made, for its owner alone, where there is none. It holds orders and payments' facts, and no name or address.
        pub fn work(mut self, folder: impl Into<PathBuf>) => self.settings.work = Some(folder.into());

        /// What a person has accepted, beside what was given before.
        pub fn known(mut self, accepted: impl IntoIterator<Item = KnownDiscrepancy>) =>
            self.settings.known.extend(accepted);

        /// How many bytes are sorted in memory at a time, 4 KiB or more. The whole run takes about as much again for buffers.
        pub fn sort_memory(mut self, bytes: usize) => self.settings.sort_memory = bytes;
    }

    /// Makes the reconciler.
    ///
    /// # Errors
    /// [`BuildError::OutOfRange`] names the setting and the rule: `pace`, `pending_after` and `sort_memory` have their bounds.
    pub fn build(self) -> Result<Reconciler, BuildError> {
        let Self { validator, settings } = self;
        BuildError::check("pace", settings.pace, (1..=1000).contains(&settings.pace), "1 to 1000 calls a second")?;
        let waits = Duration::from_secs(settings.pending_after);
        let is_listed = settings.pending_after <= settings.look_back;
        BuildError::check("pending_after", waits, is_listed, "at most `look_back`, for which payments are listed")?;
        let sorted = settings.sort_memory;
        BuildError::check("sort_memory", sorted, sorted >= LEAST_SORTED, "4096 bytes or more")?;
        Ok(Reconciler { validator, settings })
    }
}
