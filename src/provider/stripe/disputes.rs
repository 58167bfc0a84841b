//! How the disputes of a payment stand, asked for when its charge is disputed.
//!
//! | Stripe's status | reading |
//! |---|---|
//! | `won`, `warning_closed` | won |
//! | `prevented`, as a block of which nothing was refunded | won |
//! | `prevented` otherwise: a resolution, by which the shopper is paid back | lost |
//! | `warning_needs_response`, `warning_under_review` | an inquiry |
//! | `needs_response`, `under_review`, `appeal_needs_response`, `appeal_under_review` | open |
//! | `lost` | lost |
//! | anything else | unknown |
//!
//! Of several disputes the worst counts. Where they are not all obtained, for want of a right or since the answer cannot be
//! read, that is unknown too; a failure that may pass fails the attempt, which is made again as a whole.

use serde::Deserialize;

use crate::http::object::Object;
use crate::http::transport;
use crate::payment::dispute::Dispute;
use crate::payment::facts::ProviderPayment;
use crate::provider::{Call, ProviderError};

use super::Stripe;
use super::reply;
use super::wire::{Expandable, Named, WireText};

/// The most that a page holds.
const PAGE: &str = "100";

/// A page of disputes (<https://docs.stripe.com/api/disputes/list>).
#[derive(Debug, Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    object: WireText<'a>,
    data: Vec<Object<OneDispute<'a>>>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct OneDispute<'a> {
    #[serde(borrow)]
    id: WireText<'a>,
    status: WireText<'a>,
    payment_intent: Option<Expandable<'a, Named<'a>>>,
    payment_method_details: Option<Object<Method<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Method<'a> {
    #[serde(borrow)]
    card: Option<Object<CardCase<'a>>>,
}

#[derive(Debug, Deserialize)]
struct CardCase<'a> {
    #[serde(borrow)]
    case_type: Option<WireText<'a>>,
}

impl Stripe {
    /// Adds how the disputes of a disputed payment stand.
    pub(super) async fn add_disputes(
        &self,
        mut facts: ProviderPayment,
        mut call: Call,
    ) -> Result<ProviderPayment, ProviderError> {
        let mut after = None;
        // Nothing known of them so far is the least that can be said of a payment whose charge is disputed.
        let mut worst: Option<Dispute> = None;
        facts.dispute = loop {
            call = match call.further().await {
                Ok(further) => further,
                Err(error) if error.may_pass() => return Err(error.with_request_ids(facts.request_ids)),
                Err(_) => break worst.unwrap_or_default().max(Dispute::Unknown),
            };
            match self.disputes(&mut facts, after.as_deref()).await {
                Ok((dispute, next)) => {
                    worst = worst.max(dispute);
                    let Some(next) = next else { break worst.unwrap_or(Dispute::Unknown) };
                    after = Some(next);
                }
                Err(error) if error.may_pass() => {
                    return Err(facts.request_ids.all().fold(error, ProviderError::with_earlier_request));
                }
                Err(error) => {
                    facts.request_ids.follow(error.provider_request_id());
                    if error.status() == Some(403) && facts.missing_right.is_none() {
                        facts.missing_right = self.disputes_right.refused(&error);
                    }
                    break worst.unwrap_or_default().max(Dispute::Unknown);
                }
            }
        };
        Ok(facts)
    }

    /// The worst dispute of a page, if there is one, and after which the next page begins, if there is one.
    async fn disputes(
        &self,
        facts: &mut ProviderPayment,
        after: Option<&str>,
    ) -> Result<(Option<Dispute>, Option<String>), ProviderError> {
        let mut address = self.address.clone();
        address.set_path(&[&*self.root, "disputes"].concat());
        address.query_pairs_mut().clear().extend_pairs([("payment_intent", &*facts.id), ("limit", PAGE)]);
        address.query_pairs_mut().extend_pairs(after.map(|after| ("starting_after", after)));
        let reply = transport::get(&self.client, address, &self.headers).await;
        let reply = reply.map_err(|error| ProviderError::from(&error))?;
        let body = reply::body(&reply, None)?;
        let page = read(body, facts).map_err(|error| reply::unreadable(error, &reply))?;
        facts.request_ids.follow(reply::request_id(&reply));
        Ok(page)
    }
}

fn read(body: &[u8], facts: &ProviderPayment) -> Result<(Option<Dispute>, Option<String>), ProviderError> {
    let unreadable = || ProviderError::unreadable("the answer is not a list of the payment's disputes");
    let page: Object<Page<'_>> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let is_foreign = |dispute: &OneDispute<'_>| dispute.payment_intent.as_ref().is_some_and(|of| of.id() != &*facts.id);
    if &*page.object != "list" || page.data.iter().any(|dispute| is_foreign(dispute)) {
        return Err(unreadable());
    }
    let next = page.data.last().map(|dispute| dispute.id.to_owned());
    if page.has_more && next.is_none() {
        return Err(unreadable());
    }
    let worst = page.data.iter().map(|dispute| standing(dispute, facts)).max();
    Ok((worst, next.filter(|_| page.has_more)))
}

fn standing(dispute: &OneDispute<'_>, facts: &ProviderPayment) -> Dispute {
    match &*dispute.status {
        "won" | "warning_closed" => Dispute::Won,
        "warning_needs_response" | "warning_under_review" => Dispute::Inquiry,
        "needs_response" | "under_review" | "appeal_needs_response" | "appeal_under_review" => Dispute::Open,
        "lost" => Dispute::Lost,
        "prevented" => {
            let card = dispute.payment_method_details.as_ref().and_then(|method| method.card.as_ref());
            let case_type = card.and_then(|card| card.case_type.as_deref());
            let is_unpaid_block = case_type == Some("block") && facts.amount_refunded == Some(0);
            if is_unpaid_block { Dispute::Won } else { Dispute::Lost }
        }
        _ => Dispute::Unknown,
    }
}
