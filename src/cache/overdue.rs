//! Invalidations that the store did not confirm: kept on a list, and tried again until it does.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::call::deadline::after;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::LedgerError;
use crate::lock::Lock;

use super::backing::Backing;
use super::generation::SHORTEST_LIFE;
use super::marks::{Mark, Marks};

/// With more on the list, all is invalidated in their place.
const MOST_OVERDUE: usize = 1_000;

/// A store that has been away for a moment is back soon; one that has been for longer is not asked all the time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a mark lasts that the store has not confirmed: as long as any entry lives.
pub(super) const UNCONFIRMED: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is to be invalidated in the store.
#[derive(Clone, Debug)]
pub(super) enum Overdue {
    Entry { digest: Fingerprint, name: &'static str, versions: Vec<u32>, tombstone: Duration },
    Tag { tag: Fingerprint, lives: Duration },
}

impl Overdue {
    /// What marks of it hit.
    pub(super) fn subject(&self) -> Fingerprint {
        match self {
            Self::Entry { digest, .. } => *digest,
            Self::Tag { tag, .. } => *tag,
        }
    }

    /// Has the store forget it, with one more try where the first gave no answer.
    pub(super) async fn done(&self, backing: &Backing) -> Result<(), LedgerError> {
        match self.tried(backing).await {
            Err(error) if error.is_down() => self.tried(backing).await,
            done => done,
        }
    }

    async fn tried(&self, backing: &Backing) -> Result<(), LedgerError> {
        match self {
            Self::Entry { digest, name, versions, tombstone } => {
                for version in versions {
                    backing.sure.void(&backing.entry_key(name, *version, digest), *tombstone).await?;
                }
                Ok(())
            }
            Self::Tag { tag, lives } => backing.generations.end(&backing.sure, tag, *lives).await,
        }
    }
}

/// What the store has yet to forget, and since when.
#[derive(Debug, Default)]
pub(super) struct OverdueList(Lock<Pending>);

#[derive(Debug, Default)]
struct Pending {
    items: Vec<Item>,
    /// What goes through them. It is finished where its runtime ended before the list did.
    task: Option<JoinHandle<()>>,
}

/// One on the list.
#[derive(Clone, Debug)]
struct Item {
    since: Instant,
    what: Overdue,
    /// What holds for this process meanwhile.
    mark: Mark,
    settles_in: Duration,
}

impl OverdueList {
    /// Adds one, and has the list gone through unless it is already. `all` is the tag of everything.
    pub(super) fn add(
        self: &Arc<Self>,
        (backing, marks): (&Arc<Backing>, &Arc<Marks>),
        what: Overdue,
        mark: Mark,
        settles_in: Duration,
        all: Fingerprint,
    ) {
        let (since, mut pending) = (Instant::now(), self.0.lock());
        let Pending { items, task } = &mut *pending;
        if items.len() >= MOST_OVERDUE {
            items.clear();
            // Longer-lived entries have theirs renewed.
            let (mark, what) = (marks.mark(&[all], UNCONFIRMED), Overdue::Tag { tag: all, lives: SHORTEST_LIFE });
            items.push(Item { since, what, mark, settles_in });
        } else {
            items.retain(|other| other.what.subject() != what.subject());
            items.push(Item { since, what, mark, settles_in });
        }
        if task.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            let (list, backing, marks) = (Arc::clone(self), Arc::clone(backing), Arc::clone(marks));
            *task = Some(runtime.spawn(async move { list.go_through(&backing, &marks).await }));
        }
    }

    /// The one to try now. It goes to the end, so that one which the store never confirms holds none of the others up.
    fn next(&self) -> Option<Item> {
        let mut pending = self.0.lock();
        let Pending { items, .. } = &mut *pending;
        if !items.is_empty() {
            items.rotate_left(1);
        }
        items.last().cloned()
    }

    /// Whether nothing is left. Said under the lock under which one is added, which has the list gone through from then on.
    fn is_done(&self) -> bool {
        let mut pending = self.0.lock();
        let is_done = pending.items.is_empty();
        if is_done {
            pending.task = None;
        }
        is_done
    }

    async fn go_through(&self, backing: &Arc<Backing>, marks: &Marks) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_done() {
                return;
            }
            let (until, was_down) = (after(Instant::now(), pause), backing.is_down());
            // A store that answers again is asked soon, and not after all of a long pause.
            while Instant::now() < until && (!was_down || backing.is_down()) {
                sleep(FIRST_PAUSE).await;
            }
            let Some(Item { since, what, mark, settles_in }) = self.next() else { continue };
            let is_done = what.done(backing).await.is_ok();
            if is_done {
                // What was read of the store meanwhile may be from before.
                marks.confirm(mark, &[what.subject()], settles_in);
            }
            if is_done || since.elapsed() > UNCONFIRMED {
                self.0.lock().items.retain(|other| other.mark != mark);
            }
            pause = if is_done { Duration::ZERO } else { pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
        }
    }
}
