//! Faults of every class, planted among many payments that are well: all of them are told, and nothing else.

use std::collections::BTreeSet;

use payproof::provider::ChangeOf;
use payproof::reconcile::{DiscrepancyClass, OrderRecord, OrderState};
use payproof::{Currency, Dispute, Mode, PaymentIntent, PaymentStatus};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, named, order, paid, payment, reconcile, usd};

/// How many payments there are unless `PAYPROOF_RECONCILE_PAYMENTS` says so.
const PAYMENTS: usize = 10_000;

/// One of so many payments has a fault.
const ONE_IN: usize = 20;

/// How many kinds of fault are planted.
const KINDS: usize = 23;

/// A shop, its orders, and what is wrong between them: by class, payment and order.
pub(crate) struct Planted {
    pub(crate) shop: Lister,
    pub(crate) orders: Vec<OrderRecord>,
    pub(crate) wrong: BTreeSet<String>,
    pub(crate) redeemed: Vec<(String, String)>,
    at: u64,
}

/// Plants faults of every kind among so many payments.
pub(crate) fn plant(payments: usize, seed: u64) -> Planted {
    let mut rng = StdRng::seed_from_u64(seed);
    let (orders, wrong, redeemed) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut planted = Planted { shop: Lister::new(), orders, wrong, redeemed, at: 0 };
    for number in 0..payments {
        planted.at = NEW_YEAR + rng.random_range(0..20 * HOUR);
        if number % ONE_IN == 0 {
            planted.fault(number, number / ONE_IN % KINDS);
        } else {
            planted.well(number, rng.random_range(0..8));
        }
    }
    planted
}

impl Planted {
    fn expect(&mut self, class: DiscrepancyClass, payment: &str, order: &str) {
        self.wrong.insert(format!("{} {payment} {order}", class.code()));
    }

    /// A payment and an order that agree, or that agree in having nothing to do with each other.
    fn well(&mut self, number: usize, kind: usize) {
        let (id, o) = (format!("pi_{number}"), format!("{number}"));
        let at = self.at;
        let (payment, order) = match kind {
            0 => (payment(&id, PaymentStatus::ActionRequired, at).with_metadata("order_id", &*o), None),
            1 => (payment(&id, PaymentStatus::Canceled, at), Some(order(&o, &id, OrderState::Open, at))),
            2 => {
                self.shop.change(&id, at + 3 * HOUR, ChangeOf::Refunded);
                let shipped = order(&o, &id, OrderState::Shipped, at).with_paid(at).with_shipped(at + HOUR);
                (paid(&id, &o, at).with_amount_refunded(2000), Some(shipped))
            }
            3 => (paid(&id, &o, at).with_amount_refunded(2000), Some(order(&o, &id, OrderState::Cancelled, at))),
            // Paid before the window.
            4 => (paid(&id, &o, at - 5 * DAY), Some(order(&o, &id, OrderState::Paid, at - 5 * DAY))),
            // The payment names its order, and the order no payment.
            5 => (paid(&id, &o, at), Some(order(&o, "", OrderState::Paid, at))),
            _ => (paid(&id, &o, at), Some(order(&o, &id, OrderState::Paid, at).with_paid(at + 60))),
        };
        self.shop.put(payment);
        self.orders.extend(order);
    }

    fn fault(&mut self, number: usize, kind: usize) {
        let (id, o) = (format!("pi_{number}"), format!("{number}"));
        if kind < 12 { self.fault_of_money(&id, &o, kind) } else { self.fault_of_goods(&id, &o, kind) }
    }

    fn fault_of_money(&mut self, id: &str, o: &str, kind: usize) {
        use DiscrepancyClass as C;
        let at = self.at;
        let marked = order(o, id, OrderState::Paid, at);
        let (put, order, class) = match kind {
            0 => (Some(paid(id, o, at)), None, C::PaidNotOrdered),
            1 => (Some(paid(id, o, at)), Some(order(o, id, OrderState::Open, at)), C::OrderUnmarked),
            // It names no payment, and the payment names it.
            2 => (Some(paid(id, o, at)), Some(order(o, "", OrderState::Open, at)), C::OrderUnmarked),
            3 => (None, Some(marked), C::OrderedNotPaid),
            4 => (Some(payment(id, PaymentStatus::Canceled, at)), Some(marked), C::OrderedNotPaid),
            5 => (Some(payment(id, PaymentStatus::Declined, at)), Some(marked), C::OrderedNotPaid),
            6 => (Some(payment(id, PaymentStatus::Processing, at)), Some(marked), C::OrderedNotPaid),
            7 => (Some(paid(id, o, at)), Some(marked.with_money(usd("20.01"))), C::Differs),
            8 => (Some(paid(id, o, at).with_amount(2000, Currency::EUR)), Some(marked), C::Differs),
            9 => (Some(paid(id, "another", at)), Some(marked), C::Differs),
            10 => (Some(paid(id, o, at).with_metadata("store_id", "store_7")), Some(marked), C::Differs),
            _ => (Some(paid(id, o, at).with_mode(Mode::Test)), Some(marked), C::Differs),
        };
        if let Some(put) = put {
            self.shop.put(put);
        }
        self.orders.extend(order);
        self.expect(class, id, o);
    }

    fn fault_of_goods(&mut self, id: &str, o: &str, kind: usize) {
        use DiscrepancyClass as C;
        let at = self.at;
        let marked = order(o, id, OrderState::Paid, at);
        let shipped = order(o, id, OrderState::Shipped, at).with_shipped(at + 2 * HOUR);
        let class = match kind {
            12 => {
                let second = format!("{id}_again");
                self.shop.put(paid(id, o, at));
                self.shop.put(paid(&second, o, at));
                self.orders.push(marked);
                return self.expect(C::OrderPaidTwice, &second, o);
            }
            13 => {
                let second = format!("{o}_again");
                self.shop.put(paid(id, o, at));
                self.orders.extend([marked, order(&second, id, OrderState::Paid, at)]);
                return self.expect(C::PaymentUsedTwice, id, &second);
            }
            14 => (Some(paid(id, o, at)), order(o, id, OrderState::Cancelled, at), C::CancelledButPaid),
            15 => (Some(paid(id, o, at)), order(o, id, OrderState::Refunded, at), C::CancelledButPaid),
            16 => {
                self.shop.change(id, at + HOUR, ChangeOf::Refunded);
                (Some(paid(id, o, at).with_amount_refunded(2000)), shipped, C::RefundedButShipped)
            }
            17 => {
                self.shop.change(id, at + HOUR, ChangeOf::Disputed);
                (Some(paid(id, o, at).with_dispute(Dispute::Lost)), shipped, C::DisputedButShipped)
            }
            18 => {
                self.shop.put(paid(id, o, at));
                self.redeemed.push((id.to_owned(), o.to_owned()));
                return self.expect(C::RedeemedWithoutOrder, id, o);
            }
            19 => {
                self.shop.put(payment(id, PaymentStatus::Processing, at - 3 * DAY));
                return self.expect(C::Pending, id, "-");
            }
            20 => (Some(payment(id, PaymentStatus::Unknown("novel".into()), at)), marked, C::Unknown),
            21 => {
                self.shop.set(|world| world.broken.push(id.to_owned()));
                (None, marked, C::Unknown)
            }
            _ => {
                self.orders.push(order(o, &id.replace("pi_", "ch_"), OrderState::Paid, at));
                return self.expect(C::Unknown, "-", o);
            }
        };
        let (put, order, class) = class;
        if let Some(put) = put {
            self.shop.put(put);
        }
        self.orders.push(order);
        self.expect(class, id, o);
    }
}

pub(crate) fn payments() -> usize {
    std::env::var("PAYPROOF_RECONCILE_PAYMENTS").map_or(PAYMENTS, |number| number.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_planted_fault_is_told_and_nothing_else() {
    let planted = plant(payments(), 17);
    let validator = payproof::Validator::builder(planted.shop.clone())
        .only_instance()
        .restart_loses_at_most(payproof::store::RestartLoss::All)
        .build()
        .unwrap();
    for (id, order) in &planted.redeemed {
        let intent = PaymentIntent::new("store_42", id, usd("20.00")).unwrap().with_order(order).unwrap();
        let payproof::Verdict::Valid(proof) = validator.validate(intent).await.unwrap().into_verdict() else {
            panic!("{id} is valid");
        };
        let _ = validator.redeem(proof).await.unwrap();
    }
    let builder = validator.reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
    let reconciler = builder.pace(1000).confirm(planted.wrong.len() * 2).build().unwrap();
    let report = reconcile(&reconciler, planted.orders).await;
    let told = named(&report);
    let found: BTreeSet<String> = told.iter().cloned().collect();
    let missed: Vec<_> = planted.wrong.difference(&found).take(9).collect();
    let invented: Vec<_> = found.difference(&planted.wrong).take(9).collect();
    assert!(missed.is_empty() && invented.is_empty(), "missed: {missed:#?}\ninvented: {invented:#?}");
    assert_eq!(told.len(), found.len(), "nothing is told twice");
    for class in DiscrepancyClass::ALL {
        assert!(report.counts().of(class).told >= u64::try_from(payments() / ONE_IN / KINDS).unwrap(), "{class:?}");
    }
}
