//! What an unfinished payment waits for, and the pace at which it is worth asking again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accessors::{display_as_str, named};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Of the time since it began so much is waited before asking again, within the bounds of what is waited for.
const SHARE_OF_AGE: f64 = 0.1;

named! {
    /// What a payment waits for that is neither valid nor invalid yet.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum WaitsFor {
        /// The shopper, who has to choose how to pay, or to confirm it.
        Shopper = "shopper",
        /// The shopper, who was sent to another page or app, such as a bank's, or who authenticates in this one.
        Redirect = "redirect",
        /// The shopper, who scans a QR code.
        QrCode = "qr_code",
        /// The shopper, who pays at a counter with a voucher or a reference, within days. The provider hears of it about a
        /// business day later.
        Voucher = "voucher",
        /// The shopper's transfer from a bank, of which nothing has arrived.
        BankTransfer = "bank_transfer",
        /// The rest of a transfer from a bank, of which a part has arrived.
        PartlyFunded = "partly_funded",
        /// The shopper, who has to tell the code or amounts of small deposits, once they have arrived.
        Microdeposits = "microdeposits",
        /// The time that a card's bank leaves its holder to object. The charge follows by itself.
        CardNotice = "card_notice",
        /// A debit of a bank account, which takes days.
        Debit = "debit",
        /// The end of the time for which the policy holds a debit that succeeded, since it can still come back.
        HeldDebit = "held_debit",
        /// The provider, which takes seconds with a card.
        Processing = "processing",
        /// The merchant's capture of the money that is held.
        Capture = "capture",
        /// The provider, which has still to write down what a verdict needs.
        Records = "records",
        /// The provider does not say what for.
        Unknown = "unknown",
    } as_str(self: Self)
}

display_as_str!(WaitsFor);

impl WaitsFor {
    /// The least and the most to wait before asking again.
    const fn bounds(self) -> (Duration, Duration) {
        let soon = Duration::from_secs(2);
        match self {
            Self::Records => (soon, soon),
            Self::Shopper | Self::Redirect | Self::QrCode | Self::Unknown => (soon, Duration::from_secs(30)),
            Self::Processing => (Duration::from_secs(5), MINUTE),
            Self::Voucher
            | Self::BankTransfer
            | Self::PartlyFunded
            | Self::Microdeposits
            | Self::CardNotice
            | Self::Capture => (HOUR, HOUR),
            Self::Debit | Self::HeldDebit => (Duration::from_secs(6 * 60 * 60), Duration::from_secs(6 * 60 * 60)),
        }
    }

    /// When to ask again about a payment of this age, with so much time until the end, or so much past it.
    pub(crate) fn poll_after(self, age: Duration, end: Option<End>) -> Duration {
        let (least, most) = self.bounds();
        let grown = (age.mul_f64(SHARE_OF_AGE)).clamp(least, most);
        match end {
            None => grown,
            // At the end something happens: it lapses, or the money is debited.
            Some(End::Ahead(left)) => grown.min(left.max(SECOND)),
            Some(End::Past(_)) if self == Self::Debit => HOUR,
            // What lapsed is told of soon, or else no more.
            Some(End::Past(since)) => (since.mul_f64(SHARE_OF_AGE)).max(MINUTE).min(grown),
        }
    }
}

/// Where the end of what is waited for lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ahead(Duration),
    Past(Duration),
}
