//! Ids that the provider cannot have are refused before anything else knows of them.

use std::sync::Arc;

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreVerb};
use payproof::{Field, IdempotencyKey, InvalidIntent, PaymentId, ProviderPayment, ValidateError, Validator};

use crate::support::{intent, paid, provider};

/// An adapter with ids of its own: paths that begin with `projects/`.
#[derive(Debug)]
struct Paths(ProviderIdentity);

impl Provider for Paths {
    fn identity(&self) -> &ProviderIdentity {
        &self.0
    }

    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        if payment.as_str().starts_with("projects/") {
            return Ok(());
        }
        Err(InvalidIntent::new(Field::PaymentId, "must begin with `projects/`"))
    }

    async fn look_up(&self, payment: &PaymentId, _: &Call) -> Result<ProviderPayment, ProviderError> {
        Ok(paid(payment.as_str()))
    }
}

#[track_caller]
fn assert_says(error: &ValidateError, rule: &str) {
    assert_eq!((error.code(), error.http_status()), ("invalid_intent", 400));
    assert!(error.to_string().contains("payment_id") && error.to_string().contains(rule), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_not_plain_reaches_neither_keys_nor_the_store_nor_the_provider() {
    let key = || IdempotencyKey::parse("key 1").unwrap();
    for with_store in [false, true] {
        let (provider, store) = (provider(), FlakyStore::new(MemoryStore::new()));
        let builder = Validator::builder(provider.clone());
        let builder = if with_store { builder.store(store.clone()) } else { builder };
        let validator = builder.build().unwrap();
        for id in ["projects/a/payments/7", "pi.1", "pi_1/cancel"] {
            let error = validator.validate(intent(id).with_key(key())).await.unwrap_err();
            assert_says(&error, "must consist of A-Z, a-z, 0-9, `_` and `-` at this provider");
        }
        assert_eq!(provider.calls(), 0);
        assert_eq!(store.calls(StoreVerb::Claim) + store.calls(StoreVerb::Get), 0);
        // What was refused did not take the key.
        assert!(validator.validate(intent("pi_1").with_key(key())).await.unwrap().verdict().is_valid());
    }
}

#[tokio::test(start_paused = true)]
async fn an_adapter_says_what_its_ids_are() {
    let validator = Validator::builder(Arc::new(Paths(ProviderIdentity::new("acme")))).build().unwrap();
    assert!(validator.validate(intent("projects/a/payments/7")).await.unwrap().verdict().is_valid());
    assert_says(&validator.validate(intent("pi_1")).await.unwrap_err(), "must begin with `projects/`");
}

#[cfg(feature = "stripe")]
#[tokio::test]
async fn stripes_other_objects_are_named_with_what_to_pass_instead() {
    let sandbox = payproof::testing::sandbox::Sandbox::start().await.unwrap();
    let key = format!("{}_live_{}", "sk", "sandbox4242");
    let stripe = payproof::Stripe::builder(key).base_url(sandbox.url()).build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    for (id, object, instead) in [
        ("plink_1", "a payment link", "the Checkout session that it made"),
        ("ch_1", "a charge", "its `payment_intent`"),
        ("py_1", "a charge", "its `payment_intent`"),
        ("seti_1", "a setup intent", "the payment intent that is made with its payment method"),
        ("in_1", "an invoice", "of its `payments`"),
        ("sub_1", "a subscription", "an invoice of it"),
        ("cus_1", "a customer", "the payment intent that the customer paid"),
        ("evt_1", "an event", "`data.object`"),
        ("re_1", "a refund", "its `payment_intent`"),
        ("pm_1", "a payment method", "the payment intent that it pays"),
    ] {
        let error = validator.validate(intent(id)).await.unwrap_err();
        assert_says(&error, &format!("is the id of {object}"));
        assert_says(&error, instead);
        assert!(!error.to_string().contains(id), "the value is not repeated: {error}");
    }
    assert_says(&validator.validate(intent("pi_1/cancel")).await.unwrap_err(), "as Stripe's ids do");
    assert_eq!(sandbox.requests(), 0);
    // A server that follows Stripe may have ids of other forms.
    assert!(validator.validate(intent("order-7")).await.is_ok());
}
