//! What the contract says, rule by rule.

use std::fmt;
use std::time::Duration;

/// One rule of the contract. Display says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ContractRule {
    /// A claim on an absent key stores exactly its bytes.
    ClaimTakesAbsent,
    /// A claim on a held key changes nothing, and says what is stored.
    ClaimKeepsHeld,
    /// A claim on a held key leaves the time to live as it is, and says what is left of it.
    ClaimKeepsTtl,
    /// Of many concurrent claims exactly one wins, and every loser sees the winner's bytes.
    OneClaimWins,
    /// A replacement that expects what is stored stores the other bytes.
    ReplaceSwaps,
    /// A replacement that expects anything else changes nothing, and says what is stored.
    ReplaceCompares,
    /// A replacement sets a new time to live, and the old one is forgotten.
    ReplaceSetsTtl,
    /// Of many concurrent replacements or removals that expect the same bytes exactly one wins.
    OneSwapWins,
    /// Counting up by compare-and-swap, from many tasks at once, loses no step.
    NoSwapIsLost,
    /// A removal that expects what is stored leaves the key absent.
    RemoveRemoves,
    /// A removal that expects anything else changes nothing, and says what is stored.
    RemoveCompares,
    /// Removals and claims that race leave what some order of them leaves.
    RemoveAndClaimTakeTurns,
    /// A verb sees every write that was acknowledged before it began.
    WritesAreSeen,
    /// A time to live is kept to the millisecond, rounded up.
    TtlIsKept,
    /// A record is there until its time is over, and is absent for every verb once it is.
    TtlEnds,
    /// A time to live of zero, or of more than a hundred years, is refused.
    TtlIsBounded,
    /// Values come back byte for byte, whatever they are, from none to 1 MiB.
    ValuesAreWhole,
    /// Bytes are compared exactly, to the last one.
    CompareIsExact,
    /// Keys that differ in any byte are different keys, and every text is a key.
    KeysAreDistinct,
    /// A write that is dropped leaves nothing or the whole record, and does not disturb other calls.
    DroppedIsWhole,
    /// The store says the same about its durability at all times.
    DurabilityIsStable,
    /// A look at the store itself answers.
    InspectAnswers,
    /// The store says what a restart may lose, and a look at it says the same.
    RestartLossIsSaid,
    /// A store that wraps another hands on what the other [offers](crate::store::Extras); see `check_wrapper`.
    ExtrasAreHandedOn,
}

/// Every rule of a store by itself, in the order of the enumeration.
const RULES: &[ContractRule] = &[
    ContractRule::ClaimTakesAbsent,
    ContractRule::ClaimKeepsHeld,
    ContractRule::ClaimKeepsTtl,
    ContractRule::OneClaimWins,
    ContractRule::ReplaceSwaps,
    ContractRule::ReplaceCompares,
    ContractRule::ReplaceSetsTtl,
    ContractRule::OneSwapWins,
    ContractRule::NoSwapIsLost,
    ContractRule::RemoveRemoves,
    ContractRule::RemoveCompares,
    ContractRule::RemoveAndClaimTakeTurns,
    ContractRule::WritesAreSeen,
    ContractRule::TtlIsKept,
    ContractRule::TtlEnds,
    ContractRule::TtlIsBounded,
    ContractRule::ValuesAreWhole,
    ContractRule::CompareIsExact,
    ContractRule::KeysAreDistinct,
    ContractRule::DroppedIsWhole,
    ContractRule::DurabilityIsStable,
    ContractRule::InspectAnswers,
    ContractRule::RestartLossIsSaid,
];

impl fmt::Display for ContractRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClaimTakesAbsent => "a claim on an absent key stores exactly its bytes",
            Self::ClaimKeepsHeld => "a claim on a held key changes nothing and says what is stored",
            Self::ClaimKeepsTtl => "a claim on a held key leaves the time to live as it is",
            Self::OneClaimWins => "of concurrent claims exactly one wins and every loser sees its bytes",
            Self::ReplaceSwaps => "a replacement that expects what is stored stores the other bytes",
            Self::ReplaceCompares => "a replacement that expects anything else changes nothing and says what is stored",
            Self::ReplaceSetsTtl => "a replacement sets a new time to live and the old one is forgotten",
            Self::OneSwapWins => "of concurrent swaps that expect the same bytes exactly one wins",
            Self::NoSwapIsLost => "counting up by compare-and-swap loses no step",
            Self::RemoveRemoves => "a removal that expects what is stored leaves the key absent",
            Self::RemoveCompares => "a removal that expects anything else changes nothing and says what is stored",
            Self::RemoveAndClaimTakeTurns => "removals and claims that race leave what some order of them leaves",
            Self::WritesAreSeen => "a verb sees every write that was acknowledged before it began",
            Self::TtlIsKept => "a time to live is kept to the millisecond, rounded up",
            Self::TtlEnds => "a record is there until its time is over and absent for every verb once it is",
            Self::TtlIsBounded => "a time to live of zero or of more than a hundred years is refused",
            Self::ValuesAreWhole => "values come back byte for byte",
            Self::CompareIsExact => "bytes are compared exactly",
            Self::KeysAreDistinct => "keys that differ in any byte are different keys",
            Self::DroppedIsWhole => "a write that is dropped leaves nothing or the whole record",
            Self::DurabilityIsStable => "the store says the same about its durability at all times",
            Self::InspectAnswers => "a look at the store itself answers",
            Self::RestartLossIsSaid => "the store says what a restart may lose, and a look at it says the same",
            Self::ExtrasAreHandedOn => "a store that wraps another hands on the other's extras",
        })
    }
}

/// What a store that keeps the contract was checked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    took: Duration,
}

impl Report {
    pub(super) fn new(took: Duration) -> Self {
        Self { took }
    }

    /// The rules that were checked.
    #[must_use]
    pub fn rules(&self) -> &[ContractRule] {
        RULES
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules kept", self.rules().len())?;
        for rule in self.rules() {
            write!(f, "\n- {rule}")?;
        }
        Ok(())
    }
}
