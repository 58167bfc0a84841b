//! How a store broke the contract.

use std::error::Error;
use std::fmt;

use super::ContractRule;
use crate::accessors::getters;
use crate::store::StoreError;

/// A rule of the contract that a store does not keep, and what was seen. Display says both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    rule: ContractRule,
    seen: Box<str>,
    error: Option<StoreError>,
}

impl Breach {
    pub(super) fn new(rule: ContractRule, seen: impl Into<Box<str>>) -> Self {
        Self(Box::new(Details { rule, seen: seen.into(), error: None }))
    }

    pub(super) fn failed(rule: ContractRule, error: StoreError) -> Self {
        Self(Box::new(Details { rule, seen: "the store failed".into(), error: Some(error) }))
    }

    getters! {
        /// The rule that is broken, or that could not be checked because the store failed.
        pub fn rule(&self) -> ContractRule => self.0.rule;

        /// What the store did instead.
        pub fn seen(&self) -> &str => &self.0.seen;

        /// The store's error, if it failed.
        pub fn error(&self) -> Option<&StoreError> => self.0.error.as_ref();
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, but {}", self.0.rule, self.0.seen)
    }
}

impl Error for Breach {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.error.as_ref().map(|error| -> &(dyn Error + 'static) { error })
    }
}
