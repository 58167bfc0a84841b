//! What a payment provider has to be able to do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;

pub(crate) mod attempt_log;
mod call;
mod error;
mod from_closure;
mod identity;
mod list;
mod related;
#[cfg(feature = "stripe")]
pub(crate) mod stripe;

pub use attempt_log::{Attempt, AttemptOutcome, Reach, Rule, WaitReason};
pub use call::Call;
pub(crate) use call::Door;
pub(crate) use error::{Advice, Kind};
pub use error::{ProviderError, RateLimit};
pub use from_closure::provider_fn;
pub use identity::ProviderIdentity;
pub use list::{ChangeOf, ListCursor, ListOf, ListQuery, Listed, ListedItem};
pub use related::{RelatedAnswer, RelatedObject};

/// One HTTP answer, for [`Provider::read_refusal`].
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Header names, in any case, and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// Shows neither header values nor the body.
impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer<'_> {
    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value)
    }

    /// Retry-After, in seconds or as a date that is counted from the answer's Date.
    ///
    /// A fraction of a second counts as a whole one, and of several waits the longest counts. What is neither a number nor
    /// a date is passed over.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        crate::http::retry_after::parse(self.all("retry-after"), self.header("date"))
    }
}

/// A payment provider's adapter: looks a payment up and returns its facts.
///
/// Implement `look_up` with a plain `async fn`. It is called under the validator's attempt timeout and cut off by dropping
/// its future, so it should hold nothing that outlives it, and must not retry by itself: retries would stack.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Who this provider is. Read once, when the validator is built.
    fn identity(&self) -> &ProviderIdentity;

    /// Whether an id can be one of this provider's payments: asked before keys, the store and other calls about it are.
    ///
    /// By default an id of `A-Z a-z 0-9 _ -` alone can. An adapter may accept any [`PaymentId`], since none of them leads a
    /// URL's path elsewhere, or refuse ids of other objects and say what to pass instead. It must not block.
    ///
    /// # Errors
    /// [`InvalidIntent::new`] with [`Field::PaymentId`] and the rule that the id breaks. The call then fails with it.
    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        let rule = "must consist of A-Z, a-z, 0-9, `_` and `-` at this provider";
        if payment.is_plain() { Ok(()) } else { Err(InvalidIntent::new(Field::PaymentId, rule)) }
    }

    /// Whether an id is an alias: of an object that stands for one payment, as a Checkout session does, so that its answer is
    /// about another id. By default none is.
    ///
    /// It must not block, and says the same of an id whenever it is asked. Which payment an alias stands for, once it is
    /// [complete](crate::AliasState::Complete), must never change.
    fn is_alias(&self, _id: &PaymentId) -> bool {
        false
    }

    /// Asks for the facts of one payment.
    ///
    /// A payment that does not exist is `Ok(ProviderPayment::not_found(…))`, since that is a fact. What was asked for by an
    /// [alias](Self::is_alias) is answered with the facts of the payment that it stands for, and
    /// [with what the alias states](ProviderPayment::with_alias). Any other answer about another id counts as unreadable.
    ///
    /// # Errors
    /// Say how far the call got: [`ProviderError::not_sent`], [`outcome_unknown`](ProviderError::outcome_unknown) or
    /// [`refused`](ProviderError::refused).
    ///
    /// # Cancel safety
    /// The future is dropped when the attempt timeout or the deadline passes, so it must be safe to drop at any point.
    fn look_up(
        &self,
        payment: &PaymentId,
        call: &Call,
    ) -> impl Future<Output = Result<ProviderPayment, ProviderError>> + Send;

    /// Asks for an object that is no payment, and says which payment it belongs to: for events that name a charge or a dispute
    /// and not its payment. One request, made once.
    ///
    /// By default no such object is looked up. An event that takes money back then has to come again until its payment is known
    /// another way, so implement this where the provider sends such events; see [`webhook`](crate::webhook).
    ///
    /// # Errors
    /// As [`look_up`](Self::look_up). With status 403 it says that the credential may not read such objects. An object that does
    /// not exist is [`RelatedAnswer::Gone`], since that is a fact.
    ///
    /// # Cancel safety
    /// The future is dropped when its time is over, so it must be safe to drop at any point.
    fn related(
        &self,
        _object: &RelatedObject,
        _call: &Call,
    ) -> impl Future<Output = Result<RelatedAnswer, ProviderError>> + Send {
        async { Ok(RelatedAnswer::Unsupported) }
    }

    /// Asks for one page of a list: of the payments of a window of time, or of what happened in it to payments. One request,
    /// made once. Reconciling a shop's orders needs it; validating does not.
    ///
    /// An item that cannot be read is [`ListedItem::Unreadable`], and does not fail its page. What is outside the window is left
    /// out. A page with a `next` must come nearer to the end of the list, whatever happens meanwhile: an item that is there
    /// throughout comes at least once. By default nothing is listed.
    ///
    /// # Errors
    /// [`ProviderError::unsupported`] where the adapter lists nothing of this kind; else as [`look_up`](Self::look_up). A cursor
    /// that is not the adapter's own is an error that does not pass.
    ///
    /// # Cancel safety
    /// As for [`look_up`](Self::look_up).
    fn list(&self, query: &ListQuery, _call: &Call) -> impl Future<Output = Result<Listed, ProviderError>> + Send {
        let unsupported = ProviderError::unsupported(format!("this adapter lists no {}", query.what().as_str()));
        async { Err(unsupported) }
    }

    /// Reads an HTTP answer as an error, for [`Validator::explain`](crate::Validator::explain).
    ///
    /// By default the status, Retry-After and the body's text are taken over.
    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        let error = ProviderError::refused(String::from_utf8_lossy(answer.body)).with_status(answer.status);
        match answer.retry_after() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

impl<P: Provider> Provider for Arc<P> {
    fn identity(&self) -> &ProviderIdentity {
        (**self).identity()
    }

    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        (**self).check(payment)
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        (**self).is_alias(id)
    }

    async fn look_up(&self, payment: &PaymentId, call: &Call) -> Result<ProviderPayment, ProviderError> {
        (**self).look_up(payment, call).await
    }

    async fn related(&self, object: &RelatedObject, call: &Call) -> Result<RelatedAnswer, ProviderError> {
        (**self).related(object, call).await
    }

    async fn list(&self, query: &ListQuery, call: &Call) -> Result<Listed, ProviderError> {
        (**self).list(query, call).await
    }

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        (**self).read_refusal(answer)
    }
}

pub(crate) type LookUp<'p, T = ProviderPayment> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'p>>;

/// The object-safe twin of [`Provider`], so that a validator has no type parameter.
pub(crate) trait AnyProvider: fmt::Debug + Send + Sync {
    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent>;
    fn is_alias(&self, id: &PaymentId) -> bool;
    fn look_up<'p>(&'p self, payment: &'p PaymentId, call: &'p Call) -> LookUp<'p>;
    #[cfg(feature = "webhook")]
    fn related<'p>(&'p self, object: &'p RelatedObject, call: &'p Call) -> LookUp<'p, RelatedAnswer>;
    #[cfg(feature = "reconcile")]
    fn list<'p>(&'p self, query: &'p ListQuery, call: &'p Call) -> LookUp<'p, Listed>;
    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError;
}

impl<P: Provider> AnyProvider for P {
    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        Provider::check(self, payment)
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        Provider::is_alias(self, id)
    }

    fn look_up<'p>(&'p self, payment: &'p PaymentId, call: &'p Call) -> LookUp<'p> {
        Box::pin(Provider::look_up(self, payment, call))
    }

    #[cfg(feature = "webhook")]
    fn related<'p>(&'p self, object: &'p RelatedObject, call: &'p Call) -> LookUp<'p, RelatedAnswer> {
        Box::pin(Provider::related(self, object, call))
    }

    #[cfg(feature = "reconcile")]
    fn list<'p>(&'p self, query: &'p ListQuery, call: &'p Call) -> LookUp<'p, Listed> {
        Box::pin(Provider::list(self, query, call))
    }

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        Provider::read_refusal(self, answer)
    }
}
