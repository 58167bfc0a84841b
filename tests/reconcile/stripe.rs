//! The same through the Stripe adapter and over HTTP: faults among the payments of a sandbox.
#![cfg(all(feature = "stripe", feature = "test-util"))]

use std::collections::BTreeSet;
use std::time::Duration;

use payproof::reconcile::{DiscrepancyClass as C, OrderRecord, OrderState};
use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use payproof::{Stripe, Validator};

use crate::faults::payments;
use crate::lists::missing;
use crate::shop::{DAY, HOUR, MINUTE, NEW_YEAR, named, order, reconcile, usd};

/// One of so many payments has a fault.
const ONE_IN: u64 = 20;

/// How many kinds of fault there are.
const KINDS: u64 = 13;

/// The fault of this payment, if it has one.
fn fault(number: u64) -> Option<u64> {
    number.is_multiple_of(ONE_IN).then_some(number / ONE_IN % KINDS)
}

/// Whether it pays the order of the one before it once more.
fn is_second(number: u64) -> bool {
    number.checked_sub(1).and_then(fault) == Some(4)
}

fn at(number: u64) -> u64 {
    NEW_YEAR + number * 7919 % (20 * HOUR)
}

/// A payment, the same whenever it is asked for.
fn payment(number: u64, id: &str) -> SandboxPayment {
    let at = at(number);
    let paid = SandboxPayment::paid(id, 2000, "usd");
    let paid = match (fault(number), number % 7) {
        (None, _) if is_second(number) => paid,
        (Some(2), _) => SandboxPayment::canceled(id, 2000, "usd"),
        (Some(7), _) => paid.refunded(2000).refunded_at(at + HOUR),
        (Some(8), _) => paid.disputed().disputed_at(at + HOUR),
        (Some(9), _) => return SandboxPayment::processing(id, 2000, "usd").created(at - 3 * DAY).tenant("store_42"),
        (Some(10), _) => SandboxPayment::status(id, 2000, "usd", "novel"),
        // It was under way for days.
        (Some(12), _) => return paid.created(at - 5 * DAY).final_at(at).tenant("store_42").order(&number.to_string()),
        // An older one, refunded today.
        (None, 1) => return paid.created(at - 40 * DAY).refunded(500).refunded_at(at).tenant("store_42"),
        (None, 2) => SandboxPayment::requires_action(id, 2000, "usd"),
        (None, 3) => paid.refunded(2000).refunded_at(at + 3 * HOUR),
        _ => paid,
    };
    let order = if is_second(number) { number - 1 } else { number };
    paid.created(at).customer("cus_of_ada").tenant("store_42").order(&order.to_string())
}

/// The orders that belong to a payment, and what is wrong with them.
fn orders(number: u64) -> (Vec<OrderRecord>, Option<String>) {
    let (id, o, at) = (format!("pi_{number}"), number.to_string(), at(number));
    let marked = |state: OrderState| order(&o, &id, state, at);
    let shipped = |shipped: u64| marked(OrderState::Shipped).with_shipped(at + shipped);
    let told = |class: C| Some(format!("{} {id} {o}", class.code()));
    match (fault(number), number % 7) {
        (None, _) if is_second(number) => (vec![], None),
        (None, 1 | 2) => (vec![], None),
        (None, 3) => (vec![shipped(2 * HOUR)], None),
        (None, _) => (vec![marked(OrderState::Paid)], None),
        (Some(0 | 12), _) => (vec![], told(C::PaidNotOrdered)),
        (Some(1), _) => (vec![marked(OrderState::Open)], told(C::OrderUnmarked)),
        (Some(2), _) => (vec![marked(OrderState::Paid)], told(C::OrderedNotPaid)),
        (Some(3), _) => (vec![marked(OrderState::Paid).with_money(usd("20.01"))], told(C::Differs)),
        (Some(4), _) => {
            let told = format!("{} pi_{} {o}", C::OrderPaidTwice.code(), number + 1);
            (vec![marked(OrderState::Paid)], Some(told))
        }
        (Some(5), _) => {
            let again = format!("{o}_again");
            let told = format!("{} {id} {again}", C::PaymentUsedTwice.code());
            (vec![marked(OrderState::Paid), order(&again, &id, OrderState::Paid, at)], Some(told))
        }
        (Some(6), _) => (vec![marked(OrderState::Cancelled)], told(C::CancelledButPaid)),
        (Some(7), _) => (vec![shipped(2 * HOUR)], told(C::RefundedButShipped)),
        (Some(8), _) => (vec![shipped(2 * HOUR)], told(C::DisputedButShipped)),
        (Some(9), _) => (vec![], Some(format!("{} {id} -", C::Pending.code()))),
        (Some(10), _) => (vec![marked(OrderState::Paid)], told(C::Unknown)),
        (Some(_), _) => {
            // The payment is there, and names another order than the one that names a charge.
            let charge = order(&format!("{o}_charge"), &format!("ch_{number}"), OrderState::Paid, at);
            (vec![marked(OrderState::Paid), charge], Some(format!("{} - {o}_charge", C::Unknown.code())))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_of_a_sandbox_is_told_and_nothing_else() {
    let many = u64::try_from(payments()).unwrap() / (ONE_IN * KINDS) * (ONE_IN * KINDS);
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(NEW_YEAR + DAY + HOUR));
    sandbox.generate("pi_", many, payment);
    let validator = over(&sandbox);
    let (mut all, mut wrong) = (Vec::new(), BTreeSet::new());
    for number in 0..many {
        let (orders, told) = orders(number);
        all.extend(orders);
        wrong.extend(told);
    }
    let builder = validator.reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
    let builder = builder.pace(1000).look_back(Duration::from_secs(14 * DAY)).confirm(wrong.len() * 2);
    let report = reconcile(&builder.build().unwrap(), all).await;
    let told = named(&report);
    let found: BTreeSet<String> = told.iter().cloned().collect();
    let missed: Vec<_> = wrong.difference(&found).take(9).collect();
    let invented: Vec<_> = found.difference(&wrong).take(9).collect();
    assert!(missed.is_empty() && invented.is_empty(), "missed: {missed:#?}\ninvented: {invented:#?}");
    assert_eq!(told.len(), found.len(), "nothing is told twice");
    let counts = report.counts();
    println!("{many} payments: {} pages, {} look-ups, {} told", counts.pages(), counts.look_ups(), told.len());
    assert!(report.missing().is_empty(), "{:?}", report.missing());
}

const AT: u64 = NEW_YEAR + 2 * HOUR;

fn over(sandbox: &Sandbox) -> Validator {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(sandbox.url()).account("acct_1").build().unwrap();
    Validator::builder(stripe).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_too_large_ends_its_list_and_is_named_as_the_reason() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(NEW_YEAR + DAY + HOUR));
    sandbox.put(SandboxPayment::paid("pi_1", 2000, "usd").created(AT).tenant("store_42").order("1"));
    // From a hundred entries down to one.
    sandbox.script("/v1/payment_intents", [const { Fault::HugeBody }; 7]);
    let builder = over(&sandbox).reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
    let report = reconcile(&builder.pace(1000).build().unwrap(), []).await;
    assert_eq!(missing(&report), ["payments: a page could not be had: entry_too_large"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_an_old_dispute_or_refund_is_told_when_it_comes_to_that() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(NEW_YEAR + DAY + HOUR));
    let old = |number: u64| {
        let payment = SandboxPayment::paid(&format!("pi_{number}"), 2000, "usd").created(AT - 100 * DAY);
        payment.tenant("store_42").order(&number.to_string())
    };
    for payment in [
        old(1).dispute("won", "chargeback").disputed_at(AT - 60 * DAY).dispute_closed_at(AT),
        old(2).refund(2000, "failed").refunded_at(AT - 10 * DAY).refund_failed_at(AT),
        old(3).refund(2000, "canceled").refunded_at(AT - 10 * DAY).refund_failed_at(AT),
        // Nothing came of these since.
        old(4).refund(2000, "failed").refunded_at(AT - 10 * DAY),
        old(5).refund(2000, "succeeded").refunded_at(AT - 10 * DAY),
    ] {
        sandbox.put(payment);
    }
    let orders = (1..=5).map(|number: u64| {
        let state = if number == 1 { OrderState::Cancelled } else { OrderState::Refunded };
        order(&number.to_string(), &format!("pi_{number}"), state, AT - 100 * DAY)
    });
    let builder = over(&sandbox).reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY);
    let reconciler = builder.orders_as_of(NEW_YEAR + DAY + 30 * MINUTE).pace(1000).build().unwrap();
    let report = reconcile(&reconciler, orders).await;
    assert_eq!(named(&report), ["cancelled_but_paid pi_1 1", "cancelled_but_paid pi_2 2", "cancelled_but_paid pi_3 3"]);
}
