//! How a dispute of a payment stands.

use serde::{Deserialize, Serialize};

use crate::accessors::{display_as_str, named};

named! {
    /// How a dispute of a payment stands, in rising order: of several disputes the last one in this order counts.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum Dispute {
        /// There is none.
        #[default]
        None = "none",
        /// The merchant keeps the money: the dispute was won, the inquiry closed, or the dispute was prevented.
        Won = "won",
        /// The shopper's bank asks. No money was taken back so far.
        Inquiry = "inquiry",
        /// The money was taken back for the time being, and the dispute may still be won.
        Open = "open",
        /// The payment is disputed, and how that stands was not told. No policy accepts it.
        Unknown = "unknown",
        /// The shopper has the money back, for good. No policy accepts it.
        Lost = "lost",
    } as_str(self: Self)
}

display_as_str!(Dispute);
