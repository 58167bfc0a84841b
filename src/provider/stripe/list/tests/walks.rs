//! Lists of the sandbox, walked page by page.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::payment::facts::ProviderPayment;
use crate::payment::request_ids::RequestIds;
use crate::provider::{Call, Door, Provider, ProviderError};
use crate::testing::sandbox::{ChargeShape, Fault, Sandbox, SandboxPayment};

use super::*;

/// 2026-01-01.
const NEW_YEAR: u64 = 1_767_225_600;
const DAY: u64 = 86_400;

#[derive(Debug)]
struct AlwaysOpen;

impl Door for AlwaysOpen {
    fn closed_for(&self, _now: Instant) -> Option<Duration> {
        None
    }
}

fn call() -> Call {
    Call::new(1, Instant::now().checked_add(Duration::from_secs(20)).unwrap(), Arc::new(AlwaysOpen))
}

fn stripe_at(sandbox: &Sandbox) -> Stripe {
    Stripe::builder("sk_live_x").base_url(sandbox.url()).build().unwrap()
}

/// Walks a list to its end, with what each page was asked for.
async fn walk(stripe: &Stripe, sandbox: &Sandbox, query: ListQuery) -> (Vec<ListedItem>, Vec<String>) {
    let (mut query, mut items, mut asked) = (query, Vec::new(), Vec::new());
    loop {
        let page = Provider::list(stripe, &query, &call()).await.unwrap();
        let last = sandbox.last_request().unwrap();
        asked.push(format!("{}?{}", last.path(), last.query().unwrap()));
        items.extend(page.items);
        let Some(next) = page.next else { return (items, asked) };
        query = query.with_cursor(next);
    }
}

fn payments(since: u64, until: u64) -> ListQuery {
    ListQuery::new(ListOf::Payments, since, until).unwrap()
}

fn ids(items: &[ListedItem]) -> Vec<String> {
    let page = Listed { items: items.to_vec(), ..Listed::default() };
    short(&page)
}

/// The limits of the pages that were asked for.
fn limits(asked: &[String]) -> Vec<&str> {
    asked.iter().map(|asked| asked.split("limit=").nth(1).unwrap().split('&').next().unwrap()).collect()
}

/// One payment a minute from the new year on.
fn minutely(number: u64, id: &str) -> SandboxPayment {
    SandboxPayment::paid(id, 1999, "usd")
        .created(NEW_YEAR.saturating_add(number.saturating_mul(60)))
        .order(&number.to_string())
}

#[tokio::test]
async fn every_payment_of_a_window_comes_once_and_the_newest_first() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 250, minutely);
    let stripe = stripe_at(&sandbox);
    let (items, asked) = walk(&stripe, &sandbox, payments(NEW_YEAR, NEW_YEAR + DAY)).await;
    assert_eq!(ids(&items), (0..250).rev().map(|number| format!("pi_{number}")).collect::<Vec<_>>());
    assert_eq!(limits(&asked), ["100"; 3]);
    assert!(asked[2].ends_with("&starting_after=pi_50"), "{asked:?}");
    // A window has its first second and not its last; what it is split into is what it is.
    let mut parts = Vec::new();
    for (since, until) in [(120, 6_000), (60, 120), (0, 60)] {
        let part = payments(NEW_YEAR + since, NEW_YEAR + until).with_limit(7);
        parts.extend(walk(&stripe, &sandbox, part).await.0);
    }
    assert_eq!(ids(&parts), ids(&walk(&stripe, &sandbox, payments(NEW_YEAR, NEW_YEAR + 6_000)).await.0));
    assert_eq!(parts.len(), 100);
}

#[tokio::test]
async fn payments_that_are_made_meanwhile_neither_hide_others_nor_come_twice() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 30, minutely);
    let stripe = stripe_at(&sandbox);
    let (mut query, mut seen) = (payments(NEW_YEAR, NEW_YEAR + DAY).with_limit(10), Vec::new());
    for number in 0.. {
        sandbox.put(minutely(100 + number, &format!("pi_new_{number}")));
        let page = stripe.list(&query, &call()).await.unwrap();
        seen.extend(short(&page));
        let Some(next) = page.next else { break };
        query = query.with_cursor(next);
    }
    let expected = std::iter::once("pi_new_0".to_owned()).chain((0..30).rev().map(|number| format!("pi_{number}")));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_listed_payment_has_the_facts_of_a_look_up_but_for_what_that_asks_further() {
    let sandbox = Sandbox::start().await.unwrap();
    let make =
        |make: fn(&str, u64, &str) -> SandboxPayment, id| make(id, 1999, "usd").tenant("store_42").created(NEW_YEAR);
    for payment in [
        make(SandboxPayment::paid, "pi_paid").customer("cus_1").tip(100),
        make(SandboxPayment::processing, "pi_processing"),
        make(SandboxPayment::requires_action, "pi_action"),
        make(SandboxPayment::requires_capture, "pi_held"),
        make(SandboxPayment::canceled, "pi_canceled"),
        make(SandboxPayment::declined, "pi_declined"),
        make(SandboxPayment::paid, "pi_reviewed").review_closed("approved").outcome_type("manual_review"),
        make(SandboxPayment::paid, "pi_not_ready").charge_shape(ChargeShape::Null),
        make(|id, amount, currency| SandboxPayment::status(id, amount, currency, "new_word"), "pi_unknown"),
    ] {
        sandbox.put(payment);
    }
    let stripe = stripe_at(&sandbox);
    let (items, _) = walk(&stripe, &sandbox, payments(NEW_YEAR, NEW_YEAR + 1)).await;
    assert_eq!(items.len(), 9);
    let facts = |facts: ProviderPayment| ProviderPayment { request_ids: RequestIds::default(), as_of: None, ..facts };
    for item in items {
        let ListedItem::Payment(listed) = item else { panic!("{item:?}") };
        let looked_up = stripe.look_up(&PaymentId::parse(&listed.id).unwrap(), &call()).await.unwrap();
        assert_eq!(facts(*listed), facts(looked_up));
    }
}

#[tokio::test]
async fn a_payment_whose_charge_the_key_may_not_read_is_told_by_its_id() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 3, |number, id| {
        let payment = minutely(number, id);
        if number == 1 { payment.charge_shape(ChargeShape::Id) } else { payment }
    });
    let (items, _) = walk(&stripe_at(&sandbox), &sandbox, payments(NEW_YEAR, NEW_YEAR + DAY)).await;
    assert_eq!(ids(&items), ["pi_2", "?pi_1", "pi_0"]);
}

#[tokio::test]
async fn a_page_over_the_limit_is_asked_for_by_halves() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 300, minutely);
    sandbox.script("/v1/payment_intents", [Fault::HugeBody, Fault::HugeBody]);
    let (items, asked) = walk(&stripe_at(&sandbox), &sandbox, payments(NEW_YEAR, NEW_YEAR + DAY)).await;
    assert_eq!(ids(&items), (0..300).rev().map(|number| format!("pi_{number}")).collect::<Vec<_>>());
    assert_eq!(limits(&asked), ["100", "50", "25", "50", "100", "100", "100"]);
    // A single entry of that size cannot be passed over, since nothing of it is known.
    sandbox.script("/v1/payment_intents", [Fault::HugeBody]);
    let query = payments(NEW_YEAR, NEW_YEAR + DAY).with_limit(1);
    let error = stripe_at(&sandbox).list(&query, &call()).await.unwrap_err();
    assert_eq!((error.code(), error.may_pass()), (Some("entry_too_large"), false));
}

#[tokio::test]
async fn without_the_right_to_reviews_the_list_comes_without_them_and_the_right_is_named_once() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 2, minutely);
    sandbox.script("/v1/payment_intents", [no_reviews()]);
    let (stripe, query) = (stripe_at(&sandbox), payments(NEW_YEAR, NEW_YEAR + DAY));
    for (missing, requests) in [(vec![Some("Reviews, read"), None], 2), (vec![None, None], 3)] {
        let page = stripe.list(&query, &call()).await.unwrap();
        assert_eq!((missing_rights(&page), sandbox.requests()), (missing, requests));
        assert!(!sandbox.last_request().unwrap().query().unwrap().contains("review"));
    }
}

#[tokio::test]
async fn a_page_without_a_payment_leaves_the_missing_right_to_one_that_can_name_it() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 2, minutely);
    sandbox.script("/v1/payment_intents", [no_reviews(), Fault::SlowHeaders(Duration::ZERO), no_reviews()]);
    let stripe = stripe_at(&sandbox);
    let empty = stripe.list(&payments(NEW_YEAR - DAY, NEW_YEAR), &call()).await.unwrap();
    assert_eq!((empty.items.len(), sandbox.requests()), (0, 2));
    let page = stripe.list(&payments(NEW_YEAR, NEW_YEAR + DAY), &call()).await.unwrap();
    assert_eq!((missing_rights(&page), sandbox.requests()), (vec![Some("Reviews, read"), None], 4));
}

/// The answer to a key without the right to reviews.
fn no_reviews() -> Fault {
    let refusal =
        r#"{"error":{"type":"invalid_request_error","message":"The provided key does not have Reviews, read"}}"#;
    Fault::Status(403, refusal.to_owned())
}

fn missing_rights(page: &Listed) -> Vec<Option<&'static str>> {
    let of = |item: &ListedItem| match item {
        ListedItem::Payment(facts) => facts.missing_right,
        other => panic!("{other:?}"),
    };
    page.items.iter().map(of).collect()
}

#[tokio::test]
async fn changes_are_the_refunds_disputes_and_late_ends_of_the_window() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(NEW_YEAR + 10 * DAY));
    let old = |id: &str| SandboxPayment::paid(id, 1999, "usd").created(NEW_YEAR - 20 * DAY);
    for payment in [
        old("pi_refunded")
            .refund(500, "succeeded")
            .refunded_at(NEW_YEAR - 1)
            .refund(500, "pending")
            .refunded_at(NEW_YEAR + 5),
        old("pi_disputed").disputed().disputed_at(NEW_YEAR + 7),
        old("pi_debit").final_at(NEW_YEAR + DAY - 1),
        old("pi_too_late").final_at(NEW_YEAR + DAY),
        SandboxPayment::canceled("pi_canceled", 1999, "usd").created(NEW_YEAR - DAY).final_at(NEW_YEAR),
        SandboxPayment::processing("pi_waiting", 1999, "usd").created(NEW_YEAR),
    ] {
        sandbox.put(payment);
    }
    let query = ListQuery::new(ListOf::Changes, NEW_YEAR, NEW_YEAR + DAY).unwrap();
    let (items, asked) = walk(&stripe_at(&sandbox), &sandbox, query).await;
    let at = |change: &str, after: u64| format!("{change}@{}", NEW_YEAR + after);
    let expected = [
        at("pi_refunded refunded", 5),
        at("pi_disputed disputed", 7),
        at("pi_debit paid", DAY - 1),
        at("pi_canceled canceled", 0),
    ];
    assert_eq!((ids(&items), asked.len()), (expected.to_vec(), 3));
}

#[tokio::test]
async fn changes_of_more_than_a_page_follow_on_each_other() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(NEW_YEAR + DAY));
    sandbox.generate("pi_", 25, |number, id| {
        minutely(number, id).refund(1, "succeeded").refund(2, "succeeded").disputed()
    });
    let query = ListQuery::new(ListOf::Changes, NEW_YEAR, NEW_YEAR + DAY).unwrap().with_limit(10);
    let (items, asked) = walk(&stripe_at(&sandbox), &sandbox, query).await;
    let of = |what: &str| {
        items
            .iter()
            .filter(|item| short(&Listed { items: vec![(*item).clone()], ..Listed::default() })[0].contains(what))
            .count()
    };
    assert_eq!([of(" refunded@"), of(" disputed@"), of(" paid@")], [50, 25, 25]);
    assert_eq!(asked.len(), 5 + 3 + 3);
}

#[tokio::test]
async fn events_older_than_thirty_days_are_gone_and_the_page_says_so() {
    let sandbox = Sandbox::start().await.unwrap();
    let now = NEW_YEAR + 40 * DAY;
    sandbox.set_clock(Some(now));
    sandbox.put(SandboxPayment::paid("pi_old", 1999, "usd").created(NEW_YEAR).refunded(1));
    sandbox.put(SandboxPayment::paid("pi_new", 1999, "usd").created(now - 30 * DAY));
    let stripe = stripe_at(&sandbox);
    let mut query = ListQuery::new(ListOf::Changes, NEW_YEAR, now).unwrap();
    let (mut seen, mut complete_since) = (Vec::new(), Vec::new());
    loop {
        let page = stripe.list(&query, &call()).await.unwrap();
        seen.extend(short(&page));
        complete_since.push(page.complete_since);
        let Some(next) = page.next else { break };
        query = query.with_cursor(next);
    }
    let paid = format!("pi_new paid@{}", now - 30 * DAY);
    assert_eq!(seen, [format!("pi_old refunded@{NEW_YEAR}"), paid]);
    assert_eq!(complete_since, [None, None, Some(now - 30 * DAY)]);
}

#[tokio::test]
async fn a_page_is_asked_for_as_a_payment_is() {
    let sandbox = Sandbox::start().await.unwrap();
    let builder = Stripe::builder("sk_live_x").base_url(sandbox.url()).account("acct_1");
    let stripe = builder.api_version("2026-09-30.endive").build().unwrap();
    stripe.list(&payments(1, 2), &call()).await.unwrap();
    let listed = sandbox.last_request().unwrap();
    assert_eq!(
        stripe.look_up(&PaymentId::parse("pi_1").unwrap(), &call()).await.unwrap().status,
        PaymentStatus::NotFound
    );
    let looked_up = sandbox.last_request().unwrap();
    assert_eq!(listed.headers(), looked_up.headers());
    assert_eq!(listed.header("stripe-account"), Some("acct_1"));
}

#[tokio::test]
async fn a_page_that_breaks_off_is_no_page() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.generate("pi_", 3, minutely);
    let stripe = stripe_at(&sandbox);
    for fault in [Fault::TruncatedBody, Fault::WrongJson, Fault::NotJson, Fault::Unavailable, Fault::Reset] {
        sandbox.script("/v1/payment_intents", [fault.clone()]);
        let error: ProviderError = stripe.list(&payments(NEW_YEAR, NEW_YEAR + DAY), &call()).await.unwrap_err();
        let is_tried_again = error.may_pass() || error.kind() == Kind::Unreadable;
        assert!(is_tried_again, "{fault:?}: {error:?}");
    }
}
