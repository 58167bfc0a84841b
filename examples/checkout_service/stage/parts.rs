//! The store is switched off, or on again: what each part of the service does then, tried one after the other.

use std::time::Duration;

use payproof::envelope::Failure;
use payproof::guard::{Effect, Operation};
use payproof::testing::webhook::{self, EventBody};
use payproof::{Degradation, Proof, Verdict};
use serde::Serialize;
use tokio::time::sleep;

use super::clicks::Said;
use super::{Stage, TENANT};
use crate::webhooks::SIGNING_SECRET;

/// A part that has not heard of the store's new state is tried again, so often and with such pauses.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_secs(1);

/// What is refused because the store does not answer has one of these codes.
const REFUSED: [&str; 3] = ["STORE_UNAVAILABLE", "IDEMPOTENCY_UNAVAILABLE", "NOT_FORGOTTEN"];

/// How health says that the store does not answer.
const UNREACHABLE: [&str; 2] = ["unreachable", "indeterminate_unknown"];

/// What each part did since the store was switched last.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Parts {
    /// Counts the rounds.
    number: u64,
    running: bool,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    part: &'static str,
    did: Did,
    said: String,
    /// What that means for the shop.
    meaning: &'static str,
}

/// How a part got on with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Did {
    /// As ever.
    Work,
    /// Without the store.
    GoOn,
    /// Nothing, since the store did not answer.
    Refuse,
    /// It met another trouble.
    Other,
}

impl Did {
    /// Whether that is what a part does in this state of the store.
    fn fits(self, down: bool) -> bool {
        match self {
            Self::Work => !down,
            Self::GoOn | Self::Refuse => down,
            Self::Other => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Request,
    Validation,
    Redemption,
    Guarded,
    Webhook,
    Health,
}

const PARTS: [Part; 6] =
    [Part::Request, Part::Validation, Part::Redemption, Part::Guarded, Part::Webhook, Part::Health];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "Request with a key",
            Self::Validation => "Validation",
            Self::Redemption => "Redemption",
            Self::Guarded => "Guarded refund",
            Self::Webhook => "Webhook",
            Self::Health => "Health",
        }
    }

    fn meaning(self, did: Did) -> &'static str {
        match (self, did) {
            (_, Did::Other) => "another trouble than the store's",
            (Self::Request, Did::Work) => "the handler runs once, and its answer is kept for the key",
            (Self::Request, _) => "refused before the handler runs; the same key may be sent again",
            (Self::Validation, Did::Work) => "one call to the provider for all processes",
            (Self::Validation, _) => "goes on: this process asks the provider by itself",
            (Self::Redemption, Did::Work) => "the payment is bound to its order",
            (Self::Redemption, _) => "refused: nothing ships that cannot be bound to its order",
            (Self::Guarded, Did::Work) => "sent once, and its result is kept",
            (Self::Guarded, _) => "refused before anything is sent",
            (Self::Webhook, Did::Work) => "handled once, and acknowledged",
            (Self::Webhook, _) => "not acknowledged, so the provider delivers it again",
            (Self::Health, Did::Work) => "whether all works, with status 200",
            (Self::Health, _) => "says why, still with status 200: the process stays in its load balancer",
        }
    }
}

impl Stage {
    /// Switches the store, and tries each part until it has met the store as it is now.
    pub(crate) async fn set_store(&self, down: bool) -> Parts {
        self.service.store_switch.set_down(down);
        self.lock().store_down = down;
        let _alone = self.busy.lock().await;
        let number = self.scene().parts.map_or(1, |last| last.number.saturating_add(1));
        let mut parts = Parts { number, running: true, rows: Vec::new() };
        for part in PARTS {
            let mut row = self.try_part(part).await;
            for _ in 1..TRIES {
                if row.did.fits(down) {
                    break;
                }
                sleep(PAUSE).await;
                row = self.try_part(part).await;
            }
            parts.rows.push(row);
            self.lock().parts = Some(parts.clone());
        }
        parts.running = false;
        self.lock().parts = Some(parts.clone());
        parts
    }

    async fn try_part(&self, part: Part) -> Row {
        let (did, said) = match part {
            Part::Request => {
                let sale = self.sale();
                self.put(sale.paid(), &sale.claim.order);
                of_response(self.browser.click(&format!("part-{}", sale.claim.order), &sale.claim).await)
            }
            Part::Validation => {
                self.validated().await.map_or_else(|failure| of_failure(&failure), |(_, did, said)| (did, said))
            }
            Part::Redemption => self.redeemed().await.map_or_else(|failure| of_failure(&failure), worked),
            Part::Guarded => self.refunded().await.map_or_else(|failure| of_failure(&failure), worked),
            Part::Webhook => self.delivered().await,
            Part::Health => self.healthy().await,
        };
        Row { part: part.name(), did, said, meaning: part.meaning(did) }
    }

    /// A validation of a payment that was not asked about before.
    async fn validated(&self) -> Result<(Proof, Did, String), Failure> {
        let sale = self.sale();
        self.put(sale.paid(), &sale.claim.order);
        let intent = sale.claim.intent(TENANT)?;
        let answer = self.service.validator.validate(&intent).await;
        self.service.journal.validated(&intent, &answer);
        let validation = answer?;
        let alone = validation.degraded();
        let Verdict::Valid(proof) = validation.into_verdict() else {
            return Err(Failure::new(422, "NOT_VALID", "a paid payment was not valid"));
        };
        Ok(match alone {
            None => (proof, Did::Work, "valid".to_owned()),
            Some(reason @ (Degradation::StoreDown | Degradation::NotRecorded)) => {
                (proof, Did::GoOn, format!("valid, {}", reason.as_str()))
            }
            Some(reason) => (proof, Did::Other, format!("valid, {}", reason.as_str())),
        })
    }

    async fn redeemed(&self) -> Result<String, Failure> {
        let (proof, ..) = self.validated().await?;
        let redeemed = self.service.validator.redeem(&proof).await?;
        Ok(format!("pays order {}", redeemed.receipt().order()))
    }

    /// A refund that a service would send to its provider; here the provider is spared.
    async fn refunded(&self) -> Result<String, Failure> {
        let sale = self.sale();
        let kept_for = Duration::from_secs(24 * 60 * 60);
        let refund = Operation::new(TENANT, "refund", &*sale.claim.order, Effect::keyed_write(kept_for))?;
        let sent = |call: payproof::guard::EffectCall| async move { Ok(call.provider_key().to_string()) };
        self.service.validator.guard().run(&refund, sent).await?;
        Ok("sent".to_owned())
    }

    async fn delivered(&self) -> (Did, String) {
        let sale = self.sale();
        let id = format!("evt_part_{}", sale.claim.order);
        let event = EventBody::of_payment(&id, "payment_intent.succeeded", &sale.claim.payment).to_string();
        let signature = webhook::sign(SIGNING_SECRET, webhook::now(), &event);
        of_response(self.browser.deliver(&signature, event).await)
    }

    /// Health says more than this: what it finds of the store alone counts here.
    async fn healthy(&self) -> (Did, String) {
        let health = self.service.validator.health().await;
        let reasons: Vec<&str> = health.reasons().iter().map(payproof::health::HealthReason::code).collect();
        let said = format!("degraded: {}", reasons.join(", "));
        match reasons.iter().any(|code| UNREACHABLE.contains(code)) {
            true => (Did::GoOn, said),
            false if reasons.is_empty() => worked("ready".to_owned()),
            false => (Did::Other, said),
        }
    }
}

fn worked(said: String) -> (Did, String) {
    (Did::Work, said)
}

fn of_failure(failure: &Failure) -> (Did, String) {
    let did = if REFUSED.contains(&failure.code()) { Did::Refuse } else { Did::Other };
    (did, format!("{} {}", failure.http_status(), failure.code()))
}

fn of_response(said: reqwest::Result<Said>) -> (Did, String) {
    match said {
        Err(_) => (Did::Other, "no answer".to_owned()),
        Ok(said) if said.status < 300 => (Did::Work, said.label()),
        Ok(said) if REFUSED.iter().any(|code| said.label().ends_with(code)) => (Did::Refuse, said.label()),
        Ok(said) => (Did::Other, said.label()),
    }
}
