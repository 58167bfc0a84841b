//! Settings that cannot work are refused, with their values and without the secret.

use std::time::Duration;

use payproof::store::MemoryStore;
use payproof::webhook::{StripeWebhooks, StripeWebhooksBuilder};
use payproof::{BuildError, Validator};

use crate::support::{NO_PATTERNS, ms, provider, secs};
use crate::{LONG_LEASE, secret, validator_on};

fn settings() -> StripeWebhooksBuilder {
    StripeWebhooks::builder(&validator_on(MemoryStore::new()), "orders", secret())
}

fn refusal(builder: StripeWebhooksBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn what_makes_no_sense_is_refused_with_its_value() {
    assert!(settings().build().is_ok());
    for (builder, setting, value) in [
        (settings().tolerance(Duration::ZERO), "tolerance", "0ns"),
        (settings().tolerance(ms(999)), "tolerance", "999ms"),
        (settings().handler_timeout(Duration::ZERO), "handler_timeout", "0ns"),
        (settings().retention(Duration::ZERO), "retention", "0ns"),
        (settings().retention(secs(u64::MAX)), "retention", "18446744073709551615s"),
        (settings().max_body(0), "max_body", "0"),
    ] {
        let said = refusal(builder);
        assert!(said.contains(setting) && said.contains(value), "{said}");
    }
    let validator = validator_on(MemoryStore::new());
    for name in ["", "a\nb", "ö", &"x".repeat(101)] {
        let said = refusal(StripeWebhooks::builder(&validator, name, secret()));
        assert!(said.contains("endpoint") && !said.contains('\n'), "{said}");
    }
}

#[test]
fn a_retention_covers_what_could_be_replayed() {
    let replayable = settings().tolerance(secs(300)).retention(secs(599));
    assert_eq!(
        replayable.build().unwrap_err(),
        BuildError::Contradiction {
            shorter: "twice the tolerance",
            shorter_value: secs(600),
            longer: "retention",
            longer_value: secs(599),
        }
    );
    assert!(settings().retention(secs(600)).build().is_ok());
}

#[test]
fn a_retention_covers_a_delivery() {
    let short = settings().tolerance(secs(1)).retention(LONG_LEASE - ms(1)).build().unwrap_err();
    assert!(short.to_string().contains("the longest delivery and 5 s (55s)"), "{short}");
    assert!(settings().tolerance(secs(1)).retention(LONG_LEASE).build().is_ok());
    // A slow store and a slow handler take longer.
    let builder = Validator::builder(provider()).transient_patterns(NO_PATTERNS).store_timeout(secs(2));
    let validator = builder.store(MemoryStore::new()).build().unwrap();
    let builder = StripeWebhooks::builder(&validator, "orders", secret()).handler_timeout(secs(3_600));
    let short = builder.retention(secs(3_600)).build().unwrap_err();
    assert!(short.to_string().contains("(3635s)"), "{short}");
}

#[test]
fn only_signing_secrets_are_taken_and_none_is_repeated() {
    let validator = validator_on(MemoryStore::new());
    let api_key = format!("{}_live_Planted", "sk");
    for wrong in ["", "Planted", &api_key, "we_Planted", &format!("{} ", secret()), &format!("{}\n", secret())] {
        let first = StripeWebhooks::builder(&validator, "orders", wrong).build().unwrap_err();
        let second = settings().secret(wrong).build().unwrap_err();
        for error in [first, second] {
            assert!(matches!(error, BuildError::Credential { .. }), "{error:?}");
            let said = format!("{error} {error:?}");
            assert!(!said.contains("Planted") && !said.contains("of_the_orders"), "{said}");
        }
    }
}
