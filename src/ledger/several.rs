//! Several records, read at the same time.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use super::{Held, Key, Ledger, LedgerError};

impl Ledger {
    /// Reads records, in the order of their keys. All are asked for at once, so that it takes as long as one.
    ///
    /// # Errors
    /// When one of them cannot be read.
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
