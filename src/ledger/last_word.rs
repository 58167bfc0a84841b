//! What the holder of a lease says last, at once or late, and over what it may be written.

use tokio::runtime::Handle;

use super::claimable::{Claimable, LateWords, Said};
use super::later::{WaitingWord, kib, later};
use super::{Claimed, Held, Ledger, LedgerError, Nonce, Ours, Record, Replaced, State};

/// Another process must have written in between each time.
const MOST_ROUNDS: u32 = 16;

/// A last word, and whose it is.
pub(super) struct LastWord<C: Claimable> {
    pub(super) ledger: Ledger,
    pub(super) what: C,
    pub(super) carried: C::Carried,
    pub(super) claim: Result<Ours, Unconfirmed>,
    /// Without one, the claim is removed.
    pub(super) word: Option<C::Word>,
}

/// A claim of which it is unknown whether it was made.
#[derive(Clone, Debug)]
pub(super) struct Unconfirmed {
    pub(super) nonce: Nonce,
    /// Whether it was asked for a second time, under the other nonce, and that may be it as well.
    pub(super) or_again: bool,
    /// Why the store did not confirm it; `None` while it is asked.
    pub(super) why: Option<LedgerError>,
}

pub(super) fn nonce_of(claim: &Result<Ours, Unconfirmed>) -> Nonce {
    match claim {
        Ok(ours) => ours.record.nonce,
        Err(Unconfirmed { nonce, .. }) => *nonce,
    }
}

impl Unconfirmed {
    /// Whether a record is this claim, or a mark of it. A last word under the same nonce is neither: a call that assumed the
    /// claim may have written it, and it stands.
    pub(super) fn is_it(&self, found: &Held) -> bool {
        let is_claim = |nonce| found.record.state == State::Claimed && found.record.nonce == nonce;
        let is_one = |nonce| is_claim(nonce) || found.is_mark_of(nonce);
        is_one(self.nonce) || self.or_again && is_one(self.nonce.again())
    }
}

impl<C: Claimable> LastWord<C> {
    /// Writes it, or a smaller one where it is too large, in the place of the own claim or of what others made of that.
    pub(super) async fn write(&self) -> Result<Said, LedgerError> {
        let word = self.word.as_ref();
        match self.put(word).await {
            Err(error @ LedgerError::TooLarge { .. }) => match word.and_then(|word| self.what.smaller(word)) {
                Some(smaller) => self.put(Some(&smaller)).await,
                None => Err(error),
            },
            said => said,
        }
    }

    /// The record of a word, as of now, with the tail of the claim. `None` where it leaves nothing.
    fn record(&self, word: &C::Word, nonce: Nonce) -> Result<Option<Record>, LedgerError> {
        let marks = self.what.marks(&self.carried, Some(word));
        let tail = self.claim.as_ref().map_or_else(|_| Vec::new(), |ours| ours.record.tail.clone());
        let contents = self.what.last(&self.carried, word)?;
        Ok(contents.map(|contents| Record { tail, ..contents.record(nonce, marks) }))
    }

    async fn put(&self, word: Option<&C::Word>) -> Result<Said, LedgerError> {
        let (key, nonce) = (self.what.key(), nonce_of(&self.claim));
        let mut over: Option<Held> = None;
        let Some(word) = word else { return self.remove().await };
        for _ in 0..MOST_ROUNDS {
            let Some(record) = self.record(word, nonce)? else { return self.remove().await };
            let replaced = match (&over, &self.claim) {
                (Some(over), _) => self.ledger.take_over(key, over, record).await?,
                (None, Ok(ours)) => self.ledger.settle(key, ours, record).await?,
                (None, Err(_)) => Replaced::Lost(self.ledger.get(key).await?),
            };
            let found = match replaced {
                Replaced::Ours(_) => return Ok(if over.is_none() { Said::InTime } else { Said::Late }),
                Replaced::Lost(Some(found)) => found,
                Replaced::Lost(None) if self.what.late_words(Some(word)) != LateWords::AlsoWhereNoRecordIs => {
                    return Ok(Said::Lost(None));
                }
                Replaced::Lost(None) => {
                    // With a nonce of its own: the bytes that may have stood there must not stand there again.
                    let alone = self.record(word, Nonce::draw()?)?.ok_or(LedgerError::Contended)?;
                    match self.ledger.claim(key, alone, |_| {}).await? {
                        Claimed::Ours(_) => return Ok(Said::Late),
                        Claimed::Held(found) => found,
                    }
                }
            };
            if found.is_word_on(nonce) {
                // An earlier try of this word made it.
                return Ok(Said::Late);
            }
            let may_follow = self.what.may_follow(&self.carried, word, &found, nonce)?;
            if !may_follow && !self.is_of_own_claim(&found) {
                return Ok(Said::Lost(Some(found)));
            }
            over = Some(found);
        }
        Err(LedgerError::Contended)
    }

    /// Removes the own claim, or what others made of it.
    async fn remove(&self) -> Result<Said, LedgerError> {
        let key = self.what.key();
        if let Ok(ours) = &self.claim {
            return self.ledger.release(key, ours).await;
        }
        match self.ledger.get(key).await? {
            Some(found) if self.is_of_own_claim(&found) => {
                let is_removed = self.ledger.remove(key, &found).await?;
                // Afterwards: while it stands, it bears out its place on a list.
                if is_removed {
                    self.follow(&Said::Late).await?;
                }
            }
            Some(found) if found.record.state == State::Settled => return Ok(Said::Lost(Some(found))),
            _ => {}
        }
        // It, or the other try of it, may still come until something stands there for good.
        Err(LedgerError::Contended)
    }

    /// Whether a record is the own claim, or what others made of it.
    fn is_of_own_claim(&self, found: &Held) -> bool {
        match &self.claim {
            Ok(ours) => found.is_edition_of(ours),
            Err(claim) => claim.is_it(found),
        }
    }

    /// Does what has to follow from it elsewhere.
    pub(super) async fn follow(&self, said: &Said) -> Result<(), LedgerError> {
        match &self.word {
            Some(word) => self.what.follow(&self.carried, word, said).await,
            None => Ok(()),
        }
    }

    /// Tries for a minute, in a task of its own. Where too much waits already it is given up, which is told.
    pub(super) fn say_late(self) {
        // Without a runtime nothing was asked for.
        let Ok(runtime) = Handle::try_current() else { return };
        let record = self.word.as_ref().map(|word| self.record(word, nonce_of(&self.claim)));
        let payload = record.and_then(Result::ok).flatten().map_or(0, |record| record.payload.len());
        let Some(waiting) = WaitingWord::one_more(kib(payload), self.what.key().kind) else {
            // What nothing is said of late is work that can be done again.
            if self.what.late_words(self.word.as_ref()) != LateWords::None {
                self.ledger.breaker.word_given_up();
            }
            return;
        };
        runtime.spawn(async move {
            let say = async || match self.write().await? {
                Said::InTime => self.follow(&Said::Late).await,
                said => self.follow(&said).await,
            };
            later(waiting, say).await;
        });
    }
}
