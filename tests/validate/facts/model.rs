//! Random steps, compared with a model of what must be served.

use std::time::Duration;

use payproof::testing::ScriptedProvider;
use payproof::{Currency, Dispute, Policy, Provenance, ProviderPayment};
use proptest::prelude::*;
use tokio::time::advance;

use super::{FRESH_FOR, TICK, VOLATILE, authorized, build, canceled, forgeries, id, processing};
use crate::support::{intent, is_valid, ms, paid, paused_runtime, secs};

/// The forgeries that differ in nothing that is settled with the payment.
const MENDABLE: [&str; 6] =
    ["another tenant", "another order", "no order", "order as customer", "an unproven customer", "borders moved"];

/// The forgeries that are told nothing else about the payment, so that what is settled with it says nothing to them.
const TOLD_NOTHING: [&str; 2] = ["another tenant", "borders moved"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Paid,
    PaidMore,
    RefundedInPart,
    Refunded,
    Disputed,
    Processing,
    NotFound,
    Canceled,
    Held,
    HeldBriefly,
}

impl World {
    fn facts(self) -> ProviderPayment {
        match self {
            Self::Paid => paid("pi_1"),
            Self::PaidMore => paid("pi_1").with_amount(2000, Currency::USD).with_amount_received(2000),
            Self::RefundedInPart => paid("pi_1").with_amount_refunded(5),
            Self::Refunded => paid("pi_1").with_amount_refunded(1999),
            Self::Disputed => paid("pi_1").with_dispute(Dispute::Open),
            Self::Processing => processing("pi_1"),
            Self::NotFound => ProviderPayment::not_found("pi_1"),
            Self::Canceled => canceled("pi_1"),
            Self::Held => authorized("pi_1", 3600),
            Self::HeldBriefly => authorized("pi_1", 30),
        }
    }

    /// How long it may be served.
    fn life(self) -> Duration {
        match self {
            Self::Paid | Self::PaidMore | Self::Refunded | Self::Canceled => FRESH_FOR,
            Self::Held => secs(60),
            Self::HeldBriefly => secs(30),
            _ => VOLATILE,
        }
    }

    /// Whether the honest claim is valid.
    fn pays(self) -> bool {
        matches!(self, Self::Paid | Self::Held | Self::HeldBriefly)
    }
}

#[derive(Clone, Debug)]
enum Move {
    Advance(Duration),
    Change(World),
    Forget,
    Validate { forgery: Option<usize>, max_age: Option<Duration> },
}

fn any_step() -> impl Strategy<Value = Move> {
    let worlds = vec![
        World::Paid,
        World::PaidMore,
        World::RefundedInPart,
        World::Refunded,
        World::Disputed,
        World::Processing,
        World::NotFound,
        World::Canceled,
        World::Held,
        World::HeldBriefly,
    ];
    let steps = vec![
        TICK,
        ms(1),
        secs(1),
        VOLATILE - TICK,
        VOLATILE,
        secs(29),
        secs(30),
        secs(59),
        secs(60),
        secs(400),
        FRESH_FOR - TICK,
        FRESH_FOR,
        secs(3600),
        secs(90_000),
    ];
    let ages = vec![None, None, None, Some(TICK), Some(secs(1)), Some(secs(30)), Some(secs(600)), Some(Duration::MAX)];
    prop_oneof![
        3 => prop::sample::select(steps).prop_map(Move::Advance),
        2 => prop::sample::select(worlds).prop_map(Move::Change),
        1 => Just(Move::Forget),
        6 => (prop::option::weighted(0.3, 0..forgeries().len()), prop::sample::select(ages))
            .prop_map(|(forgery, max_age)| Move::Validate { forgery, max_age }),
    ]
}

/// Plays the steps against a model that knows one thing: what the provider last answered, and when.
#[expect(clippy::unwrap_used, reason = "the provider answers")]
async fn play(steps: Vec<Move>) -> Result<(), TestCaseError> {
    let provider = ScriptedProvider::new();
    let validator = build(&provider, |builder| {
        builder.policy(Policy::default().accept_authorized()).transient_patterns::<&str>([])
    })
    .unwrap();
    let forgeries = forgeries();
    let (mut world, mut known, mut calls) = (World::NotFound, None::<(World, Duration)>, 0);
    for step in steps {
        match step {
            Move::Advance(by) => {
                advance(by).await;
                known = known.map(|(world, age)| (world, age + by));
            }
            Move::Change(to) => {
                provider.put(to.facts());
                world = to;
            }
            Move::Forget => {
                validator.forget(&id("pi_1")).await.unwrap();
                known = None;
            }
            Move::Validate { forgery, max_age } => {
                let claim = forgery.map_or_else(|| intent("pi_1"), |at| forgeries[at].1.clone());
                let call = validator.validate(&claim);
                let call = if let Some(age) = max_age { call.max_age(age) } else { call };
                let validation = call.await.unwrap();
                let limit = max_age.unwrap_or(Duration::MAX);
                // Metadata and the customer may still be mended, so a mismatch in nothing else is asked about again soon.
                let mendable = forgery.is_some_and(|at| MENDABLE.contains(&forgeries[at].0));
                let served = known.filter(|(world, age)| *age < world.life() && *age <= limit);
                let told_nothing = forgery.is_some_and(|at| TOLD_NOTHING.contains(&forgeries[at].0));
                let served =
                    served.filter(|(world, age)| !(mendable && (world.pays() || told_nothing) && *age >= VOLATILE));
                let (stated, age) = served.unwrap_or((world, Duration::ZERO));
                if served.is_none() {
                    calls += 1;
                }
                known = Some((stated, age));
                let provenance = if served.is_some() { Provenance::Replayed } else { Provenance::Fresh };
                prop_assert_eq!(validation.provenance(), provenance);
                prop_assert_eq!(provider.calls(), calls);
                prop_assert_eq!(validation.age(), age);
                // "ten times" and "a cent more" are no forgeries where that is what was paid.
                let matches = match forgery.map(|at| forgeries[at].0) {
                    None => stated.pays(),
                    Some("a cent more") => stated == World::PaidMore,
                    Some(_) => false,
                };
                prop_assert_eq!(is_valid(&validation), matches, "{:?}: {:?}", stated, validation);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn valid_never_outlives_what_the_provider_said(steps in prop::collection::vec(any_step(), 1..60)) {
        let runtime = paused_runtime();
        runtime.block_on(play(steps))?;
    }
}
