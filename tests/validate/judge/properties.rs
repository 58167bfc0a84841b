//! Whatever the facts, the claim and the policy are.

use payproof::{Currency, Dispute, Mode, PaymentStatus, Policy, Risk, Verdict};
use proptest::prelude::*;

use super::{CREATED, Facts, PAID, bare_claim, judged};
use crate::support::{paused_runtime, secs};

/// What the documentation says about a valid payment, restated without looking at the judge.
fn may_be_valid(facts: &Facts, order: Option<&str>, customer: Option<&str>, accepted: &Accepted) -> bool {
    let common = facts.amount == Some((1999, Currency::USD))
        && facts.mode == Some(Mode::Live)
        && facts.store == Some("store_42")
        && facts.order == order
        && (customer.is_none() || facts.customer == customer)
        && !facts.reversed
        && facts.dispute <= accepted.dispute
        && (!facts.fraud || accepted.fraud)
        && (facts.refunded == 0
            || (accepted.partly_refunded && facts.received.is_some_and(|received| facts.refunded < received)))
        && facts.risk <= accepted.risk
        && facts.created.is_none_or(|created| created <= CREATED + 60 + 300)
        && accepted
            .max_age
            .is_none_or(|limit| facts.created.is_some_and(|created| CREATED + 60 <= created.saturating_add(limit)))
        && facts.created.is_none_or(|created| CREATED + 60 <= created.saturating_add(399 * 24 * 60 * 60));
    let captured = facts.status == PaymentStatus::Paid && facts.received == Some(1999) && facts.captured != Some(false);
    let held = facts.status == PaymentStatus::Authorized
        && accepted.authorized
        && facts.received == Some(0)
        && facts.capturable == 1999
        && facts.capture_before.is_none_or(|until| until > CREATED + 60);
    common && (captured || held)
}

#[derive(Clone, Debug)]
struct Accepted {
    authorized: bool,
    partly_refunded: bool,
    dispute: Dispute,
    fraud: bool,
    risk: Risk,
    max_age: Option<u64>,
}

impl Accepted {
    fn policy(&self) -> Policy {
        let mut policy = Policy::default().accept_risk_up_to(self.risk);
        if self.authorized {
            policy = policy.accept_authorized();
        }
        if self.partly_refunded {
            policy = policy.accept_partly_refunded();
        }
        policy = match self.dispute {
            Dispute::Open => policy.accept_disputed(),
            Dispute::Inquiry => policy.accept_inquiries(),
            _ => policy,
        };
        if self.fraud {
            policy = policy.accept_reported_fraud();
        }
        match self.max_age {
            Some(limit) => policy.max_age(secs(limit)),
            None => policy,
        }
    }
}

/// Mostly the matching value, so that a whole payment matches often enough to say something.
fn mostly<T: Clone + std::fmt::Debug + 'static>(usual: T, odd: Vec<T>) -> impl Strategy<Value = T> {
    prop_oneof![12 => Just(usual), 1 => prop::sample::select(odd)]
}

fn any_risk() -> impl Strategy<Value = Risk> {
    prop::sample::select(vec![
        Risk::Normal,
        Risk::NotAssessed,
        Risk::Elevated,
        Risk::Review,
        Risk::Highest,
        Risk::Blocked,
    ])
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let amounts = vec![
        None,
        Some((1998, Currency::USD)),
        Some((1999, Currency::EUR)),
        Some((0, Currency::USD)),
        Some((u64::MAX, Currency::JPY)),
    ];
    let money = (
        mostly(Some((1999, Currency::USD)), amounts),
        prop_oneof![4 => Just(Some(1999)), 2 => Just(Some(0)), 1 => Just(None), 1 => any::<u64>().prop_map(Some)],
        prop_oneof![3 => Just(0), 2 => Just(1999), 1 => Just(1)],
        mostly(0, vec![1, 1998, 1999, 2000, u64::MAX]),
    );
    let statuses = vec![
        PaymentStatus::Authorized,
        PaymentStatus::Authorized,
        PaymentStatus::Authorized,
        PaymentStatus::Processing,
        PaymentStatus::ActionRequired,
        PaymentStatus::Declined,
        PaymentStatus::Canceled,
        PaymentStatus::NotFound,
        PaymentStatus::Unknown("succeeded".into()),
    ];
    let state = (
        prop_oneof![2 => Just(PaymentStatus::Paid), 1 => prop::sample::select(statuses)],
        mostly(Some(Mode::Live), vec![None, Some(Mode::Test)]),
        prop::sample::select(vec![None, Some(true), Some(true), Some(false)]),
        mostly(Dispute::None, vec![Dispute::Won, Dispute::Inquiry, Dispute::Open, Dispute::Unknown, Dispute::Lost]),
        mostly(false, vec![true]),
        mostly(false, vec![true]),
        prop_oneof![4 => Just(Risk::Normal), 1 => any_risk()],
    );
    let owner = (
        mostly(Some("cus_9"), vec![None, Some("cus_7"), Some("")]),
        mostly(Some("store_42"), vec![None, Some("store_9"), Some("")]),
        prop_oneof![4 => Just(Some("6735")), 2 => Just(None), 1 => Just(Some("7"))],
    );
    let times = (
        mostly(
            Some(CREATED),
            vec![
                None,
                Some(0),
                Some(CREATED - 1),
                Some(CREATED + 60),
                Some(CREATED + 360),
                Some(CREATED + 361),
                Some(u64::MAX),
            ],
        ),
        mostly(None, vec![Some(CREATED + 60), Some(CREATED + 61), Some(0)]),
    );
    (money, state, owner, times).prop_map(|(money, state, owner, times)| {
        let (amount, received, capturable, refunded) = money;
        let (status, mode, captured, dispute, fraud, reversed, risk) = state;
        let (customer, store, order) = owner;
        let (created, capture_before) = times;
        Facts {
            status,
            mode,
            amount,
            received,
            capturable,
            refunded,
            captured,
            dispute,
            fraud,
            reversed,
            risk,
            customer,
            store,
            order,
            created,
            capture_before,
            ..PAID
        }
    })
}

fn any_accepted() -> impl Strategy<Value = Accepted> {
    (
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(vec![Dispute::Won, Dispute::Inquiry, Dispute::Open]),
        any::<bool>(),
        any_risk(),
        prop::sample::select(vec![None, Some(59), Some(60), Some(61)]),
    )
        .prop_map(|(authorized, partly_refunded, dispute, fraud, risk, max_age)| Accepted {
            authorized,
            partly_refunded,
            dispute,
            fraud,
            risk,
            max_age,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn valid_means_that_every_condition_holds(
        facts in any_facts(), accepted in any_accepted(), order in any::<bool>(), customer in any::<bool>(),
    ) {
        let (order, customer) = (order.then_some("6735"), customer.then_some("cus_9"));
        let mut intent = bare_claim();
        if let Some(order) = order {
            intent = intent.with_order(order).unwrap();
        }
        if let Some(customer) = customer {
            intent = intent.with_customer(customer).unwrap();
        }
        let runtime = paused_runtime();
        let validation = runtime.block_on(judged(&intent, &facts, |builder| {
            builder.policy(accepted.policy()).transient_patterns::<&str>([])
        }));
        let expected = may_be_valid(&facts, order, customer, &accepted);
        prop_assert_eq!(validation.verdict().is_valid(), expected, "{:?}", validation);
        if let Verdict::Invalid(findings) = validation.verdict() {
            prop_assert!(findings.iter().next().is_some());
        }
    }
}
