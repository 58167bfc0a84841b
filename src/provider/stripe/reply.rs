//! What an HTTP reply of Stripe's is, before its body is read.

use std::time::UNIX_EPOCH;

use crate::http::transport::HttpReply;
use crate::payment::facts::ProviderPayment;
use crate::provider::attempt_log::Reach;
use crate::provider::{Answer, ProviderError};

use super::refusal::{self, Unsuccessful};

/// The body of a success, or what the reply is instead. `asked` is the payment that was asked for.
pub(super) fn body<'r>(reply: &'r HttpReply, asked: Option<&str>) -> Result<&'r [u8], Unsuccessful> {
    // Here it is the body that decides: a payment or none, a missing payment or a wrong address.
    if let (Some(fault), 200 | 404) = (&reply.fault, reply.status) {
        let error = ProviderError::from(fault);
        let error = if error.reach() == Reach::Answered { error.with_status(reply.status) } else { error };
        return Err(Unsuccessful::Refused(traced(error, reply)));
    }
    if reply.status == 200 {
        return Ok(&reply.body);
    }
    // Where the body broke off, the status still holds, and what there is of the body is its message.
    let headers = reply.headers.iter();
    let headers: Vec<(&str, &str)> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    Err(refusal::read(&Answer { status: reply.status, headers: &headers, body: &reply.body }, asked))
}

/// An error about a success that cannot be read.
pub(super) fn unreadable(error: ProviderError, reply: &HttpReply) -> ProviderError {
    traced(error.with_status(reply.status), reply)
}

fn traced(error: ProviderError, reply: &HttpReply) -> ProviderError {
    request_id(reply).into_iter().fold(error, ProviderError::with_request_id)
}

/// Facts with the time and the id of the answer that they came with.
pub(super) fn stamped(facts: ProviderPayment, reply: &HttpReply) -> ProviderPayment {
    let mut facts = request_id(reply).into_iter().fold(facts, ProviderPayment::with_request_id);
    facts.as_of = date(reply);
    facts
}

/// When it was sent, in seconds since 1970.
pub(super) fn date(reply: &HttpReply) -> Option<u64> {
    let date = httpdate::parse_http_date(reply.header("date")?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Stripe's id of the request.
pub(super) fn request_id(reply: &HttpReply) -> Option<&str> {
    reply.header("request-id")
}
