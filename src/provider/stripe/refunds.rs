//! How the refunds of a payment stand, asked for when something was given back, or when the adapter is set to ask always.
//!
//! The charge says how much was refunded, and not whether that may still fail, or did. Whether it counts refunds that are
//! pending, and falls when one fails, is undocumented: of what it says and of what its refunds come to the larger counts.

use crate::http::transport;
use crate::payment::facts::ProviderPayment;
use crate::provider::{Call, ProviderError};

use super::Stripe;
use super::payment;
use super::reply;

/// The charge with its ten newest refunds.
const WITH_REFUNDS: &str = "expand%5B%5D=latest_charge.refunds";

impl Stripe {
    /// Whether the refunds are worth a request of their own.
    pub(super) fn asks_for_refunds(&self, facts: &ProviderPayment) -> bool {
        facts.status.rests_on_money()
            && (self.lists_refunds || facts.amount_refunded.is_some_and(|refunded| refunded > 0))
    }

    /// Adds how the refunds stand. The call comes back as it was admitted last. Where they cannot be had, what the charge says
    /// counts, unless they are asked for always; a failure that may pass fails the attempt, which is made again as a whole.
    pub(super) async fn add_refunds(
        &self,
        mut facts: ProviderPayment,
        call: Call,
    ) -> Result<(ProviderPayment, Call), ProviderError> {
        if self.refunds_right.is_missing() {
            return Ok((self.without_refunds(facts), call));
        }
        let with_earlier = |facts: &ProviderPayment, error: ProviderError| {
            facts.request_ids.all().fold(error, ProviderError::with_earlier_request)
        };
        let call = match call.further().await {
            Ok(further) => further,
            Err(error) if error.may_pass() => return Err(error.with_request_ids(facts.request_ids)),
            Err(_) => return Ok((self.without_refunds(facts), call)),
        };
        match self.refunds(&facts).await {
            Ok(listed) => {
                facts.request_ids.follow(listed.request_ids.last());
                facts.amount_refunded = facts.amount_refunded.max(listed.amount_refunded);
                (facts.refunds_pending, facts.refunds_failed) = (listed.refunds_pending, listed.refunds_failed);
                Ok((facts, call))
            }
            Err(error) if error.may_pass() => Err(with_earlier(&facts, error)),
            Err(error) => {
                facts.request_ids.follow(error.provider_request_id());
                if error.status() == Some(403) && facts.missing_right.is_none() {
                    facts.missing_right = self.refunds_right.refused(&error);
                }
                Ok((self.without_refunds(facts), call))
            }
        }
    }

    /// An adapter that is set to ask always does not take the charge's word that nothing was given back.
    fn without_refunds(&self, mut facts: ProviderPayment) -> ProviderPayment {
        if self.lists_refunds && facts.amount_refunded == Some(0) {
            facts.amount_refunded = None;
        }
        facts
    }

    /// The payment once more, with its refunds.
    async fn refunds(&self, facts: &ProviderPayment) -> Result<ProviderPayment, ProviderError> {
        let mut address = self.address_in(payment::LIST, &facts.id);
        address.set_query(Some(WITH_REFUNDS));
        let reply = transport::get(&self.client, address, &self.headers).await;
        let reply = reply.map_err(|error| ProviderError::from(&error))?;
        let body = reply::body(&reply, Some(&facts.id))?;
        let listed = payment::read(body, self.account.as_deref()).map_err(|error| reply::unreadable(error, &reply))?;
        if listed.id != facts.id {
            return Err(reply::unreadable(ProviderError::unreadable("the answer is about another payment"), &reply));
        }
        Ok(reply::request_id(&reply).into_iter().fold(listed, ProviderPayment::with_request_id))
    }
}
