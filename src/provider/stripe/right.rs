//! Rights that the key lacks, for what is asked beside the payment itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::lock::Lock;
use crate::provider::ProviderError;

/// A right may be given at any time, so it is looked for again after this.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// A right, and since when it is known to be missing.
#[derive(Debug)]
pub(super) struct Right {
    /// As Stripe's page of restricted keys calls it.
    name: &'static str,
    missing_since: Lock<Option<Instant>>,
}

impl Right {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, missing_since: Lock::default() }
    }

    /// Whether it was missing of late.
    pub(super) fn is_missing(&self) -> bool {
        self.missing_since.lock().is_some_and(|since| since.elapsed() < REMEMBERED_FOR)
    }

    /// Notes that it is missing, where Stripe itself refused: one answer of a proxy or a firewall says nothing of later calls.
    pub(super) fn refused(&self, error: &ProviderError) -> Option<&'static str> {
        if error.is_in_own_form() { self.note() } else { None }
    }

    /// Notes that it is missing. Its name, where that was not known, so that it is told once an hour.
    pub(super) fn note(&self) -> Option<&'static str> {
        let mut since = self.missing_since.lock();
        let was_known = since.is_some_and(|since| since.elapsed() < REMEMBERED_FOR);
        if was_known {
            return None;
        }
        *since = Some(Instant::now());
        Some(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_missing_right_is_told_once_an_hour_and_then_looked_for_again() {
        let right = Right::new("Reviews, read");
        assert!(!right.is_missing());
        assert_eq!((right.note(), right.note(), right.is_missing()), (Some("Reviews, read"), None, true));
        tokio::time::advance(REMEMBERED_FOR).await;
        assert!(!right.is_missing());
        assert_eq!(right.note(), Some("Reviews, read"));
    }
}
