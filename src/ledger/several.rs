//! Several things that are asked of the store at the same time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::{Held, Key, Ledger, LedgerError};

/// What comes of both, in the time of the longer one.
pub(crate) async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            some => {
                (first, second) = some;
                Poll::Pending
            }
        }
    })
    .await
}

impl Ledger {
    /// Reads records, in the order of their keys, side by side. One that cannot be read fails all.
    pub(crate) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Held>>, LedgerError> {
        let mut looks: Vec<_> = keys.iter().map(|key| (Box::pin(self.get(key)), None)).collect();
        poll_fn(|cx| {
            let mut all = Poll::Ready(());
            for (look, found) in looks.iter_mut().filter(|(_, found)| found.is_none()) {
                match look.as_mut().poll(cx) {
                    Poll::Ready(answer) => *found = Some(answer),
                    Poll::Pending => all = Poll::Pending,
                }
            }
            all
        })
        .await;
        looks.into_iter().filter_map(|(_, found)| found).collect()
    }
}
