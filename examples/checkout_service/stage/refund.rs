//! A refund: at the provider, and in the webhook that tells the service.

use payproof::envelope::Failure;
use payproof::testing::webhook::{self, EventBody};
use serde::Serialize;
use serde_json::json;

use super::Stage;
use super::burst::busy;
use super::clicks::Said;
use crate::webhooks::SIGNING_SECRET;

/// What happened around a refund, step by step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refund {
    /// Counts the refunds.
    pub(crate) number: u64,
    pub(crate) order: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) said: String,
}

impl Stage {
    /// Refunds what was sold last, delivers the webhook twice, and checks out again before and after.
    pub(crate) async fn refund(&self) -> Result<Refund, Failure> {
        let _alone = self.busy.try_lock().map_err(|_| busy())?;
        let Some(sale) = self.lock().sold.take() else {
            return Err(Failure::new(409, "NOTHING_SOLD", "nothing was sold yet that could be refunded"));
        };
        let (claim, number) = (&sale.claim, self.scene().refund.map_or(1, |last| last.number.saturating_add(1)));
        let mut steps = Vec::new();
        let mut step = |what, said: reqwest::Result<Said>| {
            let said = said.map_or_else(|_| "no answer".into(), |said| said.label());
            steps.push(Step { what, said });
        };

        step("checkout before the refund", self.browser.click(&format!("before-refund-{number}"), claim).await);
        self.put(sale.paid().refunded(sale.cents), &claim.order);
        let event = event(number, &claim.payment, sale.cents);
        let signature = webhook::sign(SIGNING_SECRET, webhook::now(), &event);
        step("webhook charge.refunded", self.browser.deliver(&signature, event.clone()).await);
        step("the same event once more", self.browser.deliver(&signature, event).await);
        step("checkout after the refund", self.browser.click(&format!("after-refund-{number}"), claim).await);

        let refund = Refund { number, order: claim.order.clone(), steps };
        self.lock().refund = Some(refund.clone());
        Ok(refund)
    }
}

/// What Stripe sends when a charge was refunded, cut down to what matters.
fn event(number: u64, payment: &str, cents: u64) -> String {
    let charge = json!({
        "id": payment.replacen("pi_", "ch_", 1),
        "object": "charge",
        "payment_intent": payment,
        "amount": cents,
        "amount_refunded": cents,
        "refunded": true,
    });
    EventBody::new(&format!("evt_sandbox_{number}"), "charge.refunded", charge).to_string()
}
