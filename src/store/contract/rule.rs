//! What the contract says, rule by rule.

use std::fmt;
use std::time::Duration;

use crate::accessors::getters;

/// The rules of a store by itself, in their order and with their words; and behind the semicolon those of a store that wraps
/// another.
macro_rules! rules {
    ($($rule:ident $words:literal,)+ ; $($wrapper_rule:ident $wrapper_words:literal,)+) => {
        /// One rule of the contract. Display says it in words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ContractRule {
            $(#[doc = concat!("The rule that ", $words, ".")] $rule,)+
            $(#[doc = concat!("The rule that ", $wrapper_words, "; see `check_wrapper`.")] $wrapper_rule,)+
        }

        /// Every rule of a store by itself, in the order of the enumeration.
        const RULES: &[ContractRule] = &[$(ContractRule::$rule),+];

        impl fmt::Display for ContractRule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$rule => $words,)+
                    $(Self::$wrapper_rule => $wrapper_words,)+
                })
            }
        }
    };
}

rules! {
    ClaimTakesAbsent "a claim on an absent key stores exactly its bytes",
    ClaimKeepsHeld "a claim on a held key changes nothing, and says what is stored",
    ClaimKeepsTtl "a claim on a held key leaves the time to live as it is, and says what is left of it",
    OneClaimWins "of concurrent claims exactly one wins and every loser sees its bytes",
    ReplaceSwaps "a replacement that expects what is stored stores the other bytes",
    ReplaceCompares "a replacement that expects anything else changes nothing, and says what is stored",
    ReplaceSetsTtl "a replacement sets a new time to live, and the old one is forgotten",
    OneSwapWins "of many concurrent replacements or removals that expect the same bytes exactly one wins",
    NoSwapIsLost "counting up by compare-and-swap, from many tasks at once, loses no step",
    RemoveRemoves "a removal that expects what is stored leaves the key absent",
    RemoveCompares "a removal that expects anything else changes nothing, and says what is stored",
    RemoveAndClaimTakeTurns "removals and claims that race leave what some order of them leaves",
    WritesAreSeen "a verb sees every write that was acknowledged before it began",
    TtlIsKept "a time to live is kept to the millisecond, rounded up",
    TtlEnds "a record is there until its time is over, and is absent for every verb once it is",
    TtlIsBounded "a time to live of zero, or of more than a hundred years, is refused",
    ValuesAreWhole "values come back byte for byte, whatever they are, from none to 1 MiB",
    CompareIsExact "bytes are compared exactly, to the last one",
    KeysAreDistinct "keys that differ in any byte are different keys, and every text is a key",
    DroppedIsWhole "a write that is dropped leaves nothing or the whole record, and does not disturb other calls",
    DurabilityIsStable "the store says the same about its durability at all times",
    InspectAnswers "a look at the store itself answers",
    BatchesRead "a batch of reads answers for every key, in their order, what a read of it answers",
    AdditionsCount "an addition counts once, says the sum and the time left, and leaves the time to live that the first one set",
    AdditionsAreRefused "an addition to what is no number, or beyond 64 bits, is refused and changes nothing",
    RestartLossIsSaid "the store says what a restart may lose, and a look at it says the same",
    ;
    ExtrasAreHandedOn "a store that wraps another hands on what the other offers beside its verbs",
}

/// What a store that keeps the contract was checked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(super) took: Duration,
}

impl Report {
    getters! {
        /// The rules that were checked.
        pub fn rules(&self) -> &'static [ContractRule] => RULES;

        /// How long it took.
        pub fn took(&self) -> Duration => self.took;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules kept", RULES.len())?;
        RULES.iter().try_for_each(|rule| write!(f, "\n- {rule}"))
    }
}
