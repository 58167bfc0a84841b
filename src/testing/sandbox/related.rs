//! The objects of a payment that are asked for by their own ids.

use serde_json::Value;

use super::body::charge;
use super::disputes::dispute;
use super::expansion::Expansion;
use super::objects::{fraud_warning, invoice_payment, refund, review};
use super::payment::{SandboxPayment, Stage};

/// What is asked of an object that is no payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObjectQuery {
    /// Stripe's word for it.
    pub(super) kind: &'static str,
    /// Whether its charge is to come in the place of the charge's id.
    pub(super) with_charge: bool,
}

/// The objects of this kind that belong to a payment, the oldest first.
pub(super) fn objects_of(payment: &SandboxPayment, kind: &str) -> Vec<Value> {
    let one = |object: Option<Value>| object.into_iter().collect();
    let several = |make: fn(&SandboxPayment, usize) -> Option<Value>| (0..).map_while(|at| make(payment, at)).collect();
    match kind {
        "charge" => one((payment.stage != Stage::None).then(|| charge(payment, Expansion::default()))),
        "refund" => several(refund),
        "dispute" => several(dispute),
        "review" => one(review(payment)),
        "radar.early_fraud_warning" => one(fraud_warning(payment)),
        "invoice_payment" => one(invoice_payment(payment)),
        _ => Vec::new(),
    }
}

/// The object of this kind and id, if it is one of this payment.
pub(super) fn object_of(payment: &SandboxPayment, asked: ObjectQuery, id: &str) -> Option<Value> {
    let mut object = objects_of(payment, asked.kind).into_iter().find(|object| is_named(object, id))?;
    if let Some(stated) = object.get_mut("charge").filter(|_| asked.with_charge) {
        *stated = charge(payment, Expansion::default());
    }
    Some(object)
}

fn is_named(object: &Value, id: &str) -> bool {
    object.get("id").and_then(Value::as_str) == Some(id)
}
