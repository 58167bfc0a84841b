//! The first bank debit that is valid and not held.

use payproof::{PaymentMethod, Policy, Validator};

use crate::subscribers::Log;
use crate::support::{intent, paid, secs};

#[tokio::test(start_paused = true)]
async fn the_first_debit_that_is_not_held_is_told_once_per_validator() {
    let (log, _guard) = Log::install();
    let told = || log.lines("Policy::hold_debits").len();
    let provider = payproof::testing::ScriptedProvider::new();
    for id in ["pi_1", "pi_2"] {
        provider.put(paid(id).with_method(PaymentMethod::BankDebit).with_paid_at(1_700_000_000));
    }
    provider.put(paid("pi_3").with_method(PaymentMethod::Card));
    let build = |policy: Policy| Validator::builder(provider.clone()).policy(policy).build().unwrap();
    let validator = build(Policy::default());
    assert!(validator.validate(intent("pi_3")).await.unwrap().verdict().is_valid());
    assert_eq!(told(), 0, "a card");
    for id in ["pi_1", "pi_1", "pi_2"] {
        assert!(validator.validate(intent(id)).await.unwrap().verdict().is_valid());
        assert_eq!(told(), 1, "{id}");
    }
    let holding = build(Policy::default().hold_debits(secs(1)));
    assert!(holding.validate(intent("pi_1")).await.is_ok());
    assert_eq!(told(), 1, "who holds debits knows of them");
    build(Policy::default()).validate(intent("pi_1")).await.unwrap();
    assert_eq!(told(), 2, "another validator");
}
