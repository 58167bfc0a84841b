//! What proves which order a payment is for.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::payment::alias::PaymentAlias;
use crate::payment::facts::{ProviderPayment, Text};
use crate::payment::metadata::{agreed, stated_under};
use crate::redaction::cut;

/// The metadata key that names the order unless another is configured.
const ORDER_KEY: &str = "order_id";

/// Where the provider's own reference to an order is kept among the metadata. Nothing that a provider states under this key is
/// kept there.
const REFERENCE_KEY: &str = "payment_details.order_reference";

/// What the key begins with under which a function's result is kept.
const FUNCTION_KEY: &str = "order_from(";

/// No claim is as long, so that what was cut equals none.
const MAX_STATED: usize = 300;

/// What a caller's function reads an order from, and its name.
type ReadsOrder = Arc<dyn Fn(&ProviderPayment) -> Option<String> + Send + Sync>;

/// Everything that may state a payment's order. All that do have to agree.
#[derive(Clone, Debug)]
pub(crate) struct OrderProof {
    /// A key of the payment's metadata, and of its alias's.
    pub(crate) key: Box<str>,
    pub(crate) by_reference: bool,
    /// Whether the reference of an alias states it.
    pub(crate) by_client_reference: bool,
    pub(crate) functions: Vec<OrderFunction>,
}

impl Default for OrderProof {
    fn default() -> Self {
        let key = ORDER_KEY.into();
        Self { key, by_reference: false, by_client_reference: false, functions: Vec::new() }
    }
}

/// A caller's function that reads the order from facts, under a name.
#[derive(Clone)]
pub(crate) struct OrderFunction {
    pub(crate) name: Box<str>,
    /// Where its result is kept among the metadata.
    key: Box<str>,
    reads: ReadsOrder,
}

impl fmt::Debug for OrderFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

impl OrderFunction {
    pub(crate) fn new(
        name: Box<str>,
        reads: impl Fn(&ProviderPayment) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { key: format!("{FUNCTION_KEY}{name})").into(), name, reads: Arc::new(reads) }
    }
}

/// A caller's function panicked, so that it states no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionPanicked(pub(crate) Box<str>);

/// Whether what is kept under a key comes of a setting, which another process need not have, and not of metadata.
pub(crate) fn is_added(key: &str) -> bool {
    key == REFERENCE_KEY || key.starts_with(FUNCTION_KEY)
}

impl OrderProof {
    /// The keys under which orders are kept among the metadata.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        [&*self.key].into_iter().chain(self.added_keys())
    }

    /// Those of what no provider states as metadata.
    fn added_keys(&self) -> impl Iterator<Item = &str> {
        let reference = self.by_reference.then_some(REFERENCE_KEY);
        reference.into_iter().chain(self.functions.iter().map(|function| &*function.key))
    }

    /// Adds what states the order beside metadata, so that it is kept as a fact. The names of functions that panicked.
    pub(crate) fn add(&self, facts: &mut ProviderPayment) -> Vec<FunctionPanicked> {
        let (mut added, mut panicked) = (Vec::new(), Vec::new());
        if let Some(reference) = facts.order_reference.clone().filter(|_| self.by_reference) {
            added.push((REFERENCE_KEY.into(), reference));
        }
        for OrderFunction { name, key, reads } in &self.functions {
            match catch_unwind(AssertUnwindSafe(|| reads(facts))) {
                Ok(order) => added.extend(order.map(|order| (key.clone(), cut(&order, MAX_STATED)))),
                Err(_) => panicked.push(FunctionPanicked(name.clone())),
            }
        }
        facts.metadata.retain(|(name, _)| self.added_keys().all(|key| key != &**name));
        facts.metadata.extend(added);
        panicked
    }

    /// The order that is stated, and of several the one that differs from ours.
    pub(crate) fn stated<'f>(
        &'f self,
        facts: &'f ProviderPayment<impl Text>,
        alias: Option<&'f PaymentAlias>,
        ours: Option<&str>,
    ) -> Option<&'f str> {
        let of_payment = self.keys().flat_map(|key| stated_under(&facts.metadata, key));
        let of_alias = alias.into_iter().flat_map(|alias| stated_under(&alias.metadata, &self.key));
        let reference = alias.and_then(|alias| alias.reference.as_deref()).filter(|_| self.by_client_reference);
        agreed(of_payment.chain(of_alias).chain(reference.filter(|reference| !reference.is_empty())), ours)
    }
}
