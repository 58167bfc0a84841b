//! Pages take nothing that checkouts wait for, and checkouts nothing of theirs.

use std::time::Duration;

use tokio::time::Instant;

use super::PageTrail;
use crate::call::breaker::Breaker;
use crate::call::error::CallError;
use crate::call::retry::{Jitter, Retry, RetryBudget, Schedule};
use crate::intent::currency::Currency;
use crate::intent::money::Money;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment};
use crate::provider::{
    ChangeOf, ListCursor, ListOf, ListQuery, Listed, ListedItem, ProviderError, ProviderIdentity, RateLimit,
    provider_fn,
};
use crate::telemetry::stats::BreakerState;
use crate::testing::{ScriptedProvider, Step};
use crate::validator::Validator;
use crate::validator::builder::ValidatorBuilder;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn payment(id: &str, created: u64) -> ProviderPayment {
    let paid = ProviderPayment::new(id, PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    let paid = paid.with_amount_received(1999).with_amount_refunded(0);
    paid.with_created(created).with_as_of(created).with_metadata("store_id", "store_42")
}

/// A provider with three payments of one second each.
fn provider() -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    for (id, created) in [("pi_1", 101), ("pi_2", 102), ("pi_3", 103)] {
        provider.put(payment(id, created));
    }
    provider
}

fn builder(provider: &ScriptedProvider) -> ValidatorBuilder {
    let retry = Retry::new().schedule(Schedule::waits([secs(1), secs(1)])).jitter(Jitter::None);
    Validator::builder(provider.clone()).retry(retry)
}

fn query() -> ListQuery {
    ListQuery::new(ListOf::Payments, 100, 200).unwrap()
}

async fn page(validator: &Validator) -> Result<Listed, CallError> {
    validator.0.account.list_page(&query()).await
}

fn code(page: Result<Listed, CallError>) -> &'static str {
    page.unwrap_err().condition().code
}

/// Validates a payment, which takes so long.
async fn validate(validator: &Validator, id: &str) -> Duration {
    let begin = Instant::now();
    let intent = PaymentIntent::new("store_42", id, Money::parse("19.99", Currency::USD).unwrap()).unwrap();
    assert!(validator.validate(intent).await.unwrap().verdict().is_valid());
    begin.elapsed()
}

fn busy() -> ProviderError {
    ProviderError::refused("busy").with_status(503)
}

fn limited(whom: RateLimit) -> ProviderError {
    busy().with_status(429).with_rate_limit(whom).with_retry_after(secs(20))
}

#[tokio::test(start_paused = true)]
async fn a_list_is_walked_page_by_page_and_a_failure_that_passes_is_tried_again() {
    let provider = provider();
    let validator = builder(&provider).build().unwrap();
    provider.script("payments", [busy(), busy()]);
    let (mut query, mut ids) = (query().with_limit(2), Vec::new());
    loop {
        let page = validator.0.account.list_page(&query).await.unwrap();
        ids.extend(page.items.into_iter().map(|item| match item {
            ListedItem::Payment(facts) => facts.id,
            other => panic!("{other:?}"),
        }));
        let Some(next) = page.next else { break };
        query = query.with_cursor(next);
    }
    assert_eq!((ids.iter().map(|id| &**id).collect::<Vec<_>>(), provider.calls()), (vec!["pi_3", "pi_2", "pi_1"], 4));
    let what = ChangeOf::Refunded;
    provider.change(&PaymentId::parse("pi_1").unwrap(), what, 150);
    let query = ListQuery::new(ListOf::Changes, 150, 151).unwrap();
    let changed = ListedItem::Changed { payment: PaymentId::parse("pi_1").unwrap(), what, at: 150 };
    assert_eq!(validator.0.account.list_page(&query).await.unwrap().items, [changed]);
}

#[tokio::test(start_paused = true)]
async fn pages_spend_no_credit_of_checkouts_and_checkouts_none_of_theirs() {
    let provider = provider();
    let budget = RetryBudget::new().at_start(1.0).saved(1.0).trickle_per_second(0.0).patience(Duration::ZERO);
    let validator = builder(&provider).retry_budget(budget).build().unwrap();
    provider.script("payments", [busy(), busy(), busy()]);
    assert_eq!(code(page(&validator).await), "provider_unavailable");
    assert_eq!((provider.calls(), validator.stats().credit), (2, Some(1.0)), "one retry, of their own");
    provider.script("pi_1", [busy()]);
    assert_eq!(validate(&validator, "pi_1").await, secs(1));
    assert!(page(&validator).await.is_err(), "the third of the script, and no credit of theirs is left");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_pages_is_not_that_of_checkouts() {
    let provider = provider();
    let validator = builder(&provider).breaker(Breaker::new().minimum_attempts(3)).build().unwrap();
    provider.script("payments", [busy(), busy(), busy()]);
    for _ in 0..2 {
        assert_eq!((code(page(&validator).await), provider.calls()), ("circuit_open", 3));
    }
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
    assert_eq!(validate(&validator, "pi_1").await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_page_takes_no_place_that_a_checkout_waits_for_and_waits_for_none() {
    let provider = provider();
    let validator = builder(&provider).max_concurrent(1).build().unwrap();
    provider.script("payments", [Step::Wait(secs(10))]);
    let (took, listed) = tokio::join!(validate(&validator, "pi_1"), page(&validator));
    assert_eq!((took, listed.unwrap().items.len()), (Duration::ZERO, 3));
    provider.script("pi_2", [Step::Wait(secs(10))]);
    let begin = Instant::now();
    let listed = async {
        page(&validator).await.unwrap();
        begin.elapsed()
    };
    assert_eq!(tokio::join!(validate(&validator, "pi_2"), listed), (secs(10), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_lists_holds_lists_alone_and_one_of_the_account_holds_all() {
    for (whom, held) in [(RateLimit::Endpoint, false), (RateLimit::Account, true)] {
        let provider = provider();
        let validator = builder(&provider).build().unwrap();
        provider.script("payments", [limited(whom)]);
        let begin = Instant::now();
        let listed = async {
            page(&validator).await.unwrap();
            begin.elapsed()
        };
        let (listed, checkout) = tokio::join!(listed, async {
            tokio::time::sleep(secs(1)).await;
            validate(&validator, "pi_1").await
        });
        assert!(listed >= secs(20), "{listed:?}");
        assert_eq!(checkout >= secs(19), held, "{whom:?}: {checkout:?}");
    }
    let provider = provider();
    let validator = builder(&provider).build().unwrap();
    provider.script("pi_1", [limited(RateLimit::Account)]);
    let begin = Instant::now();
    let listed = async {
        tokio::time::sleep(secs(1)).await;
        page(&validator).await.unwrap();
        begin.elapsed()
    };
    let (_, listed) = tokio::join!(validate(&validator, "pi_1"), listed);
    assert!(listed >= secs(20), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_has_the_time_that_it_takes() {
    let provider = provider();
    let validator = builder(&provider).attempt_timeout(secs(2)).total_deadline(secs(5)).build().unwrap();
    provider.script("payments", [Step::Wait(secs(29))]);
    assert_eq!((page(&validator).await.unwrap().items.len(), provider.calls()), (3, 1));
    provider.script("payments", [Step::Never]);
    let begin = Instant::now();
    page(&validator).await.unwrap();
    assert_eq!((begin.elapsed(), provider.calls()), (secs(31), 3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_is_told_after_one_attempt() {
    let identity = ProviderIdentity::new("acme");
    let acme = provider_fn(identity, |id, _| async move { Ok(ProviderPayment::not_found(id.as_str())) });
    let error = page(&Validator::builder(acme).build().unwrap()).await.unwrap_err();
    let unsupported = (error.condition().code, error.provider().and_then(ProviderError::code), error.attempts().len());
    assert_eq!(unsupported, ("provider_refused", Some("unsupported"), 1));

    let provider = provider();
    provider.script("payments", [Step::Panic]);
    assert!(page(&builder(&provider).build().unwrap()).await.is_err());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_panics_beside_pages_fails_by_itself() {
    let provider = provider();
    let validator = builder(&provider).build().unwrap();
    provider.script("pi_1", [Step::Panic]);
    let account = &validator.0.account;
    let look_up =
        || async { account.retrier.look_up_aside(&PaymentId::parse("pi_1").unwrap(), &account.telemetry).await };
    let error = look_up().await.unwrap_err();
    assert_eq!((error.provider().and_then(ProviderError::code), provider.calls()), (Some("panicked"), 1));
    assert_eq!(&*look_up().await.unwrap().id, "pi_1");
}

#[test]
fn a_list_that_goes_round_is_told_before_its_round_was_walked_four_times() {
    let cursor = |page: usize| ListCursor::parse(page.to_string()).unwrap();
    for before in [0, 1, 2, 7, 100] {
        for round in [1, 2, 3, 10, 99] {
            let mut trail = PageTrail::new(None);
            let next = |page: usize| if page < before { page } else { before + (page - before) % round };
            let most = 3 * (before + round) + 3;
            let is_told = (0..=most).any(|page| trail.go_on(&cursor(next(page))).is_err());
            assert!(is_told, "{before} pages and rounds of {round}: not within {most} pages");
        }
    }
    let mut trail = PageTrail::new(Some(cursor(0)));
    assert!((1..10_000).all(|page| trail.go_on(&cursor(page)).is_ok()));
}
