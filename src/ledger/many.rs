//! Many records in one round trip.

use tokio::time::Instant;

use crate::store::Stored;
use crate::store::extras::{MOST_KEYS, fill_gaps};

use super::claim_clock::is_in_doubt;
use super::store_call::timed;
use super::{Held, Key, Ledger, LedgerError};

type Read<T> = Result<Option<T>, LedgerError>;

impl Ledger {
    /// Reads records, each as by [`get`](Self::get), and answers in the order of their keys; together they are no snapshot.
    ///
    /// They go by the hundred, one batch after the other, each within the store's time-out. Once a batch brought no answer at
    /// all, the store is not asked for the rest, which share its failure.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Read<Held>> {
        let mut reads = Vec::with_capacity(keys.len());
        for keys_of_batch in keys.chunks(MOST_KEYS) {
            let batch = self.batch(keys_of_batch).await;
            let failure = failure_of(&batch).filter(|error| error.is_down()).cloned();
            reads.extend(batch);
            if let Some(failure) = failure {
                reads.resize(keys.len(), Err(failure));
                break;
            }
        }
        reads
    }

    /// One batch. What broke off is asked for once more, together; a record whose age is in doubt is read again by itself.
    async fn batch(&self, keys: &[Key]) -> Vec<Read<Held>> {
        let asked_at = Instant::now();
        let mut answers = self.ask(&keys.iter().collect::<Vec<_>>()).await;
        let is_broken = |answer: &Read<Stored>| answer.as_ref().is_err_and(LedgerError::is_worth_another_try);
        let broken: Vec<&Key> =
            answers.iter().zip(keys).filter(|(answer, _)| is_broken(answer)).map(|(_, key)| key).collect();
        if !broken.is_empty() {
            let again = self.ask(&broken).await;
            for (answer, again) in answers.iter_mut().filter(|answer| is_broken(answer)).zip(again) {
                *answer = match (&*answer, again) {
                    (Err(first), Err(next)) => Err(first.clone().or(next)),
                    (_, again) => again,
                };
            }
        }
        let dated = |(answer, key): (Read<Stored>, &Key)| {
            let Some(stored) = answer.transpose() else { return Some(Ok(None)) };
            let decoded = stored.and_then(|stored| Ok((self.codec.decode(&stored.bytes, key)?, stored)));
            match decoded {
                Ok((record, stored)) if is_in_doubt(&record, &stored) => None,
                Ok((record, stored)) => Some(Ok(Some(self.dated(record, stored, asked_at)))),
                Err(error) => Some(Err(error)),
            }
        };
        let reads = answers.into_iter().zip(keys).map(dated).collect();
        fill_gaps(reads, keys, |key| self.get(key)).await
    }

    /// Asks the store once. A metric counts it as failed if no key was answered.
    async fn ask(&self, keys: &[&Key]) -> Vec<Read<Stored>> {
        let names: Vec<&str> = keys.iter().map(|key| &*key.text).collect();
        let begun = match self.begin() {
            Ok(begun) => begun,
            Err(error) => return vec![Err(error); keys.len()],
        };
        let batch = async { Ok(self.extras.batch(&*self.store, &names).await) };
        let answers: Vec<Read<Stored>> = match timed(self.timeout, batch).await {
            Ok(answers) => answers.into_iter().map(|answer| Ok(answer?)).collect(),
            Err(error) => vec![Err(error); keys.len()],
        };
        self.heard(begun, "get_many", failure_of(&answers));
        answers
    }
}

/// Why no key was answered, if none was.
fn failure_of<T>(answers: &[Read<T>]) -> Option<&LedgerError> {
    let first = answers.first()?.as_ref().err()?;
    answers.iter().all(Result::is_err).then_some(first)
}
