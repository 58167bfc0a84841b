//! `POST /checkouts`: a browser says that a payment pays for an order.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use payproof::envelope::{Failure, Success};
use payproof::redeem::RedeemError;
use payproof::{Currency, InvalidIntent, Money, PaymentIntent, ValidateError, Verdict};
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::orders::{Created, Order};
use crate::service::Service;

/// What the browser claims. None of it is believed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) payment: String,
    pub(crate) amount: String,
    pub(crate) currency: String,
    pub(crate) order: String,
}

impl Claim {
    pub(crate) fn intent(&self, tenant: &str) -> Result<PaymentIntent, InvalidIntent> {
        let money = Money::parse(&self.amount, Currency::parse(&self.currency)?)?;
        PaymentIntent::new(tenant, &self.payment, money)?.with_order(&self.order)
    }
}

/// Validates, redeems, and creates the order.
///
/// All of it may be done twice and comes to the same end, which is why the route lets a request whose outcome is unknown
/// run again. Where nothing was done at all, the answer says so, and the browser may use its key again.
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    claim: Result<Json<Claim>, JsonRejection>,
) -> Result<Success<Order>, Failure> {
    let Json(claim) = claim.map_err(|refused| malformed(&refused))?;
    service.journal.handler_runs(&claim.order);
    let intent = claim.intent(caller.tenant)?;

    let answer = service.validator.validate(&intent).await;
    service.journal.validated(&intent, &answer);
    let proof = match answer.map_err(could_not_tell)?.into_verdict() {
        Verdict::Valid(proof) => proof,
        Verdict::Pending(pending) => {
            let failure = Failure::new(409, "PAYMENT_PENDING", "the payment is not decided yet; ask again");
            return Err(failure.with_retry_after(pending.poll_after()).not_executed());
        }
        Verdict::ActionRequired(_) => {
            let failure = Failure::new(402, "ACTION_REQUIRED", "the shopper must confirm the payment first");
            return Err(failure.not_executed());
        }
        Verdict::Invalid(findings) => return Err(Failure::from(&findings)),
    };

    let redeemed = service.validator.redeem(&proof).await.map_err(not_redeemed)?;
    // The order's row says what is shipped: only the call that creates it does that. Without rows of one's own it would be
    // the call whose `redeemed.occasion()` is the first. The row also knows what that one cannot: that it crashed before it
    // could create the order, and another call has to.
    Ok(match service.orders.create(redeemed.receipt(), &proof).await? {
        Created::Now(order) => Success::new(order).with_status(201).with_message("paid; the order is on its way"),
        Created::Before(order) => Success::new(order).with_message("this order was paid before"),
    })
}

/// Could not tell: nothing was done, and the shopper asks again.
fn could_not_tell(error: ValidateError) -> Failure {
    Failure::from(error).not_executed()
}

/// Another request is at it: like every 4xx that asks for a wait, it must not be what the key is answered with for a day.
fn not_redeemed(error: RedeemError) -> Failure {
    let passes = matches!(error, RedeemError::InProgress { .. });
    let failure = Failure::from(error);
    if passes { failure.not_executed() } else { failure }
}

fn malformed(refused: &JsonRejection) -> Failure {
    Failure::new(refused.status().as_u16(), "MALFORMED_CHECKOUT", refused.body_text())
}
