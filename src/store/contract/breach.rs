//! How a store broke the contract.

use super::ContractRule;
use crate::accessors::getters;
use crate::store::StoreError;

/// A rule of the contract that a store does not keep, and what was seen. Display says both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}, but {seen}")]
pub struct Breach {
    rule: ContractRule,
    seen: Box<str>,
    #[source]
    error: Option<StoreError>,
}

impl Breach {
    pub(super) fn new(rule: ContractRule, seen: impl Into<Box<str>>) -> Self {
        Self { rule, seen: seen.into(), error: None }
    }

    pub(super) fn failed(rule: ContractRule, error: StoreError) -> Self {
        Self { error: Some(error), ..Self::new(rule, "the store failed") }
    }

    getters! {
        /// The rule that is broken, or that could not be checked because the store failed.
        pub fn rule(&self) -> ContractRule => self.rule;

        /// What the store did instead.
        pub fn seen(&self) -> &str => &self.seen;

        /// The store's error, if it failed.
        pub fn error(&self) -> Option<&StoreError> => self.error.as_ref();
    }
}
