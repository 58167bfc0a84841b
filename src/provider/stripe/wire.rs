//! The parts of Stripe's JSON that are read. Unknown fields are ignored, and text is borrowed from the body.
//!
//! Every struct is an [`Object`] or [`Expandable`] where it stands, so that no list is read as one.
//! Amounts are unsigned integers: a negative number, a fraction or a string fails the whole answer and is never guessed.
//! So do a field that stands twice, and a metadata key that does.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::http::object::Object;

/// Stripe allows this many metadata keys (<https://docs.stripe.com/metadata>).
const MAX_METADATA: usize = 50;

/// Text that is borrowed unless it has escapes. A bare `Option<Cow<str>>` would always be copied by serde.
#[derive(Debug, Deserialize)]
pub(super) struct WireText<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for WireText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A payment intent (<https://docs.stripe.com/api/payment_intents/object>).
#[derive(Debug, Deserialize)]
pub(super) struct Intent<'a> {
    #[serde(borrow)]
    pub(super) id: WireText<'a>,
    pub(super) object: WireText<'a>,
    pub(super) status: WireText<'a>,
    pub(super) livemode: Option<bool>,
    pub(super) created: Option<u64>,
    pub(super) currency: Option<WireText<'a>>,
    pub(super) amount: Option<u64>,
    pub(super) amount_received: Option<u64>,
    pub(super) amount_capturable: Option<u64>,
    pub(super) amount_details: Option<Object<AmountDetails>>,
    pub(super) cancellation_reason: Option<WireText<'a>>,
    pub(super) next_action: Option<Object<NextAction<'a>>>,
    pub(super) last_payment_error: Option<Object<PaymentError<'a>>>,
    pub(super) customer: Option<Expandable<'a, Named<'a>>>,
    pub(super) customer_account: Option<Expandable<'a, Named<'a>>>,
    pub(super) transfer_data: Option<Object<TransferData<'a>>>,
    pub(super) metadata: Option<Metadata<'a>>,
    pub(super) payment_details: Option<Object<PaymentDetails<'a>>>,
    #[serde(default)]
    pub(super) latest_charge: LatestCharge<'a>,
    pub(super) review: Option<Expandable<'a, Review<'a>>>,
}

/// A Checkout session (<https://docs.stripe.com/api/checkout/sessions/object>).
#[derive(Debug, Deserialize)]
pub(super) struct Session<'a> {
    #[serde(borrow)]
    pub(super) id: WireText<'a>,
    pub(super) object: WireText<'a>,
    pub(super) mode: WireText<'a>,
    pub(super) status: Option<WireText<'a>>,
    pub(super) payment_status: Option<WireText<'a>>,
    pub(super) livemode: Option<bool>,
    pub(super) created: Option<u64>,
    pub(super) expires_at: Option<u64>,
    pub(super) currency: Option<WireText<'a>>,
    pub(super) amount_total: Option<u64>,
    pub(super) currency_conversion: Option<Object<CurrencyConversion<'a>>>,
    pub(super) client_reference_id: Option<WireText<'a>>,
    pub(super) payment_link: Option<Expandable<'a, Named<'a>>>,
    pub(super) customer: Option<Expandable<'a, Named<'a>>>,
    pub(super) metadata: Option<Metadata<'a>>,
    pub(super) payment_intent: Option<Expandable<'a, Box<Intent<'a>>>>,
}

/// The shop's own amount, of older sessions with adaptive pricing.
#[derive(Debug, Deserialize)]
pub(super) struct CurrencyConversion<'a> {
    pub(super) amount_total: u64,
    #[serde(borrow)]
    pub(super) source_currency: WireText<'a>,
}

/// What the merchant tells the networks of the payment.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentDetails<'a> {
    #[serde(borrow)]
    pub(super) order_reference: Option<WireText<'a>>,
}

/// What the amount includes beside the price.
#[derive(Debug, Deserialize)]
pub(super) struct AmountDetails {
    pub(super) tip: Option<Object<AmountPart>>,
    /// In previews only.
    pub(super) surcharge: Option<Object<AmountPart>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AmountPart {
    pub(super) amount: Option<u64>,
}

/// The charge of the latest attempt to pay.
#[derive(Debug, Default)]
pub(super) enum LatestCharge<'a> {
    /// By a server that does not know the field.
    #[default]
    LeftOut,
    /// There is none, or for seconds after a success it has still to be written down.
    Null,
    /// It was not expanded.
    Id,
    Expanded(Box<Charge<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for LatestCharge<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stated = Option::<Expandable<'a, Box<Charge<'a>>>>::deserialize(deserializer)?;
        Ok(match stated {
            None => Self::Null,
            Some(Expandable::Id(_)) => Self::Id,
            Some(Expandable::Object(charge)) => Self::Expanded(charge),
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentError<'a> {
    #[serde(borrow)]
    pub(super) decline_code: Option<WireText<'a>>,
    pub(super) code: Option<WireText<'a>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<WireText<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TransferData<'a> {
    #[serde(borrow)]
    pub(super) destination: Option<Expandable<'a, Named<'a>>>,
}

/// A charge (<https://docs.stripe.com/api/charges/object>).
#[derive(Debug, Deserialize)]
pub(super) struct Charge<'a> {
    #[serde(borrow)]
    pub(super) object: Option<WireText<'a>>,
    pub(super) livemode: Option<bool>,
    pub(super) created: Option<u64>,
    pub(super) currency: Option<WireText<'a>>,
    pub(super) amount: Option<u64>,
    pub(super) payment_intent: Option<Expandable<'a, Named<'a>>>,
    pub(super) status: Option<WireText<'a>>,
    pub(super) paid: Option<bool>,
    pub(super) captured: Option<bool>,
    pub(super) amount_captured: Option<u64>,
    pub(super) amount_refunded: Option<u64>,
    pub(super) refunded: Option<bool>,
    pub(super) refunds: Option<Object<Refunds<'a>>>,
    pub(super) disputed: Option<bool>,
    pub(super) fraud_details: Option<Object<FraudDetails<'a>>>,
    pub(super) outcome: Option<Object<ChargeOutcome<'a>>>,
    pub(super) payment_method_details: Option<Object<MethodDetails<'a>>>,
}

/// The refunds of a charge, the newest ten (<https://docs.stripe.com/api/refunds/object>).
#[derive(Debug, Deserialize)]
pub(super) struct Refunds<'a> {
    #[serde(borrow)]
    pub(super) data: Vec<Object<OneRefund<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OneRefund<'a> {
    pub(super) amount: u64,
    #[serde(borrow)]
    pub(super) status: Option<WireText<'a>>,
}

/// Empty unless fraud was reported, or the contrary.
#[derive(Debug, Deserialize)]
pub(super) struct FraudDetails<'a> {
    #[serde(borrow)]
    pub(super) stripe_report: Option<WireText<'a>>,
    pub(super) user_report: Option<WireText<'a>>,
}

/// A person's review (<https://docs.stripe.com/api/radar/reviews/object>).
#[derive(Debug, Deserialize)]
pub(super) struct Review<'a> {
    pub(super) open: bool,
    #[serde(borrow)]
    pub(super) closed_reason: Option<WireText<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChargeOutcome<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<WireText<'a>>,
    pub(super) risk_level: Option<WireText<'a>>,
    pub(super) network_status: Option<WireText<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MethodDetails<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<WireText<'a>>,
    pub(super) card: Option<Object<CardDetails>>,
    pub(super) card_present: Option<Object<CardDetails>>,
    pub(super) acss_debit: Option<Object<DebitDetails<'a>>>,
    pub(super) au_becs_debit: Option<Object<DebitDetails<'a>>>,
    pub(super) bacs_debit: Option<Object<DebitDetails<'a>>>,
    pub(super) nz_bank_account: Option<Object<DebitDetails<'a>>>,
    pub(super) sepa_debit: Option<Object<DebitDetails<'a>>>,
    pub(super) us_bank_account: Option<Object<DebitDetails<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DebitDetails<'a> {
    #[serde(borrow)]
    pub(super) expected_debit_date: Option<WireText<'a>>,
}

/// What the shopper, or time, has to do next. Each type has its details under its own name.
#[derive(Debug, Deserialize)]
pub(super) struct NextAction<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: WireText<'a>,
    #[serde(rename = "cashapp_handle_redirect_or_display_qr_code")]
    pub(super) cashapp: Option<Object<ActionDetails>>,
    #[serde(rename = "swish_handle_redirect_or_display_qr_code")]
    pub(super) swish: Option<Object<ActionDetails>>,
    #[serde(rename = "upi_handle_redirect_or_display_qr_code")]
    pub(super) upi: Option<Object<ActionDetails>>,
    #[serde(rename = "pix_display_qr_code")]
    pub(super) pix: Option<Object<ActionDetails>>,
    #[serde(rename = "klarna_display_qr_code")]
    pub(super) klarna: Option<Object<ActionDetails>>,
    #[serde(rename = "boleto_display_details")]
    pub(super) boleto: Option<Object<ActionDetails>>,
    #[serde(rename = "konbini_display_details")]
    pub(super) konbini: Option<Object<ActionDetails>>,
    #[serde(rename = "multibanco_display_details")]
    pub(super) multibanco: Option<Object<ActionDetails>>,
    #[serde(rename = "oxxo_display_details")]
    pub(super) oxxo: Option<Object<ActionDetails>>,
    #[serde(rename = "display_bank_transfer_instructions")]
    pub(super) bank_transfer: Option<Object<ActionDetails>>,
    #[serde(rename = "verify_with_microdeposits")]
    pub(super) microdeposits: Option<Object<ActionDetails>>,
    #[serde(rename = "card_await_notification")]
    pub(super) card_notice: Option<Object<ActionDetails>>,
}

/// The times and amounts of all next actions, each of which has some of them.
#[derive(Debug, Deserialize)]
pub(super) struct ActionDetails {
    pub(super) expires_at: Option<u64>,
    pub(super) expires_after: Option<u64>,
    pub(super) qr_code: Option<Object<QrCode>>,
    pub(super) amount_remaining: Option<u64>,
    pub(super) arrival_date: Option<u64>,
    pub(super) charge_attempt_at: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct QrCode {
    pub(super) expires_at: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CardDetails {
    pub(super) capture_before: Option<u64>,
    pub(super) overcapture: Option<Object<Overcapture>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Overcapture {
    pub(super) maximum_amount_capturable: Option<u64>,
}

/// Any object with an id.
#[derive(Debug, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) id: WireText<'a>,
}

/// An error answer (<https://docs.stripe.com/api/errors>).
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody<'a> {
    /// An object, or a code alone as OAuth has it.
    #[serde(borrow)]
    pub(super) error: Expandable<'a, ErrorObject<'a>>,
    pub(super) error_description: Option<WireText<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorObject<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<WireText<'a>>,
    pub(super) code: Option<WireText<'a>>,
    pub(super) message: Option<WireText<'a>>,
    pub(super) param: Option<WireText<'a>>,
}

/// A string where nothing was expanded, an object where it was.
#[derive(Debug)]
pub(super) enum Expandable<'a, T> {
    Id(Cow<'a, str>),
    Object(T),
}

impl<'a> Expandable<'a, Named<'a>> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(named) => &named.id,
        }
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Expandable<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpandableVisitor(PhantomData))
    }
}

struct ExpandableVisitor<'a, T>(PhantomData<(&'a str, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for ExpandableVisitor<'a, T> {
    type Value = Expandable<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Expandable::Id(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Expandable::Id(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Expandable::Object)
    }
}

/// The merchant's own key-value pairs, in the order they came.
#[derive(Debug)]
pub(super) struct Metadata<'a>(pub(super) Vec<(WireText<'a>, WireText<'a>)>);

impl Metadata<'_> {
    pub(super) fn boxed(&self) -> Vec<(Box<str>, Box<str>)> {
        self.0.iter().map(|(key, value)| ((**key).into(), (**value).into())).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor(PhantomData)).map(Metadata)
    }
}

struct MetadataVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for MetadataVisitor<'a> {
    type Value = Vec<(WireText<'a>, WireText<'a>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(WireText<'a>, WireText<'a>)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<WireText<'a>, WireText<'a>>()? {
            // Which of the two would count is a guess, and it decides whose payment this is.
            if entries.iter().any(|(known, _)| **known == *key) {
                return Err(A::Error::custom("a metadata key stands twice"));
            }
            if entries.len() >= MAX_METADATA {
                return Err(A::Error::custom("more metadata than Stripe allows"));
            }
            entries.push((key, value));
        }
        Ok(entries)
    }
}
