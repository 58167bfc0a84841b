//! What the adapter's builder takes, and what of it is told.
#![cfg(feature = "stripe")]

use payproof::provider::Provider;
use payproof::{BuildError, Mode, Stripe, StripeBuilder};

#[test]
fn keys_of_another_kind_are_refused_without_being_repeated() {
    for (key, rule) in [
        ("", "empty"),
        ("sk_test_abc\n", "line end"),
        ("sk_test_a bc", "white space"),
        ("sk_test_\u{7f}", "control"),
        ("sk_test_\u{e9}tude", "ASCII"),
        ("pk_live_abc", "publishable"),
        ("whsec_abc", "webhook"),
        ("pi_1_secret_abc", "client secret"),
    ] {
        let said = Stripe::new(key).unwrap_err().to_string();
        assert!(said.contains(rule) && !said.contains("abc"), "{said}");
    }
}

#[test]
fn the_keys_prefix_tells_the_mode_unless_it_is_set() {
    let built = |key: &str| Stripe::builder(key).base_url("http://localhost:1");
    for (key, mode) in
        [("sk_test_a", Mode::Test), ("rk_test_a", Mode::Test), ("sk_live_a", Mode::Live), ("a", Mode::Live)]
    {
        assert_eq!(built(key).build().unwrap().identity().mode(), mode, "{key}");
    }
    assert_eq!(built("sk_test_a").mode(Mode::Live).build().unwrap().identity().mode(), Mode::Live);
}

#[test]
fn the_account_has_its_own_name_and_the_label_is_for_people() {
    let told = |builder: StripeBuilder| {
        let built = builder.base_url("http://localhost:1").build().unwrap();
        let identity = built.identity();
        (identity.account().map(str::to_owned), identity.label().to_owned())
    };
    let (key, acct_1) = ("sk_live_a", || Some("acct_1".to_owned()));
    assert_eq!(told(Stripe::builder(key)), (None, "default".to_owned()));
    assert_eq!(told(Stripe::builder(key).only_account()), (None, "default".to_owned()));
    assert_eq!(told(Stripe::builder(key).account("acct_1")), (acct_1(), "acct_1".to_owned()));
    assert_eq!(told(Stripe::builder(key).own_account("acct_1")), (acct_1(), "acct_1".to_owned()));
    assert_eq!(told(Stripe::builder(key).own_account("acct_2").account("acct_1")), (acct_1(), "acct_1".to_owned()));
    assert_eq!(told(Stripe::builder(key).own_account("acct_1").only_account()), (acct_1(), "acct_1".to_owned()));
    assert_eq!(told(Stripe::builder(key).account_label("eu")), (None, "eu".to_owned()));
    assert_eq!(told(Stripe::builder(key).account_label("eu").account("acct_1")), (acct_1(), "eu".to_owned()));
}

#[test]
fn no_label_passes_for_an_account() {
    let builder = || Stripe::builder("sk_live_a").base_url("http://localhost:1");
    for text in ["eu", "acct_", "ACCT_1", "acct_1/eu"] {
        for built in [builder().account(text), builder().own_account(text)] {
            let error = built.build().unwrap_err();
            assert!(matches!(error, BuildError::OutOfRange { .. }), "{error}");
        }
    }
}

#[test]
fn settings_that_cannot_be_sent_are_refused() {
    for text in ["", " a", "a\r\nX: y", "\u{e9}", &"a".repeat(256), "sk_live_abc"] {
        let builder = || Stripe::builder("sk_live_a").base_url("http://localhost:1");
        for built in [
            builder().account(text),
            builder().own_account(text),
            builder().account_label(text),
            builder().api_version(text),
        ] {
            let error = built.build().unwrap_err();
            assert!(matches!(error, BuildError::OutOfRange { .. }), "{error}");
            assert!(!error.to_string().contains("sk_live_abc"), "{error}");
        }
    }
    assert!(Stripe::builder("sk_live_a").account_label("a/b").build().is_err());
    assert!(Stripe::builder("sk_live_a").base_url("http://api.stripe.com").build().is_err());
}

#[test]
fn versions_in_which_a_partial_capture_is_a_refund_are_refused_by_their_date() {
    let build =
        |version: &str| Stripe::builder("sk_live_a").base_url("http://localhost:1").api_version(version).build();
    for version in [
        "2025-03-31.basil",
        "2025-03-31.preview",
        "2025-04-30.preview; feature_beta=v1",
        "2025-12-15.clover; feature_beta=v1",
        "2025-12-15;feature_beta=v1",
        "2026-10-28.endive",
        "2027-01-27.fuchsia",
        "2030-01-01",
    ] {
        assert!(build(version).is_ok(), "{version}");
    }
    for version in [
        "2022-11-15",
        "2025-02-24.acacia",
        "2025-03-30.preview",
        "2025-03-01.dashboard; feature_beta=v1",
        "2019-12-03",
        "basil",
        "2026",
        "2026-10-2",
        "2026-1a-28.endive",
        "2026/10/28",
        "2026-10-28endive",
        "9999999999",
    ] {
        let said = build(version).unwrap_err().to_string();
        assert!(said.contains("stripe.api_version") && said.contains(version), "{said}");
        assert!(said.contains("2025-03-31.basil or later") && said.contains("counted as refunded"), "{said}");
    }
}
