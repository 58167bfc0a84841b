//! What payproof reads of an answer, written the way an application would.

#![expect(dead_code, reason = "fields that are not looked at are parsed all the same, as payproof parses them")]

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) status: String,
    pub(crate) livemode: Option<bool>,
    pub(crate) created: Option<u64>,
    pub(crate) currency: Option<String>,
    pub(crate) amount: Option<u64>,
    pub(crate) amount_received: Option<u64>,
    pub(crate) amount_capturable: Option<u64>,
    pub(crate) cancellation_reason: Option<String>,
    pub(crate) last_payment_error: Option<PaymentError>,
    pub(crate) customer: Option<String>,
    pub(crate) customer_account: Option<String>,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) transfer_data: Option<TransferData>,
    pub(crate) metadata: Option<HashMap<String, String>>,
    pub(crate) latest_charge: Option<Charge>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PaymentError {
    pub(crate) decline_code: Option<String>,
    pub(crate) code: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TransferData {
    pub(crate) destination: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) status: Option<String>,
    pub(crate) paid: Option<bool>,
    pub(crate) captured: Option<bool>,
    pub(crate) amount_captured: Option<u64>,
    pub(crate) amount_refunded: Option<u64>,
    pub(crate) refunded: Option<bool>,
    pub(crate) disputed: Option<bool>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) payment_method_details: Option<MethodDetails>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) risk_level: Option<String>,
    pub(crate) network_status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MethodDetails {
    pub(crate) card: Option<Card>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Card {
    pub(crate) capture_before: Option<u64>,
}
