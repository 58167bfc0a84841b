//! Many payments: their facts made ready before they are needed, and intents validated as they come.

use std::collections::HashSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};

use crate::accessors::{getters, partial_debug, setters};
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::lookup::error::ValidateError;
use crate::lookup::facts_flight::Source;
use crate::lookup::lookups::{Lookups, Recalled};
use crate::lookup::validation::Validation;
use crate::spread::Handle;

use super::Validator;

/// So many payments are looked up at once, unless the caller says otherwise: 32 calls at 300 ms each are about 100 a second, which is
/// what Stripe allows.
const AT_ONCE: usize = 32;

impl Validator {
    /// Has the facts of payments ready before they are needed, as before a shipping run.
    ///
    /// What the shared store has of them is read a hundred at a time and taken into memory; what it lacks is looked up as by a
    /// validation, 32 at once, and recorded in the store. Facts already in memory are left as they are, and a payment that is
    /// named twice is one. The payments are validated afterwards, each against its own claim, without a call to the provider.
    ///
    /// With a store they stay in memory for [`facts_in_memory_for`](crate::ValidatorBuilder::facts_in_memory_for), 5 s by default, or
    /// where the store tells of changes for as long as they are fresh, and after that cost one call to the store; facts that may
    /// change at any moment, as those of a payment under way, are not kept in memory. A
    /// process that has just started is told of changes from a moment later on, and what it had in memory until then is read
    /// again: here, or where this is over by then, by one call for each. It does nothing until it is awaited.
    ///
    /// ```
    /// # use payproof::{PaymentId, Validator};
    /// # async fn run(validator: &Validator, orders: Vec<PaymentId>) {
    /// let ready = validator.prefetch(orders).await;
    /// for (payment, error) in ready.failures() {
    ///     eprintln!("{payment} is not ready: {error}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// It has none of its own: payments that could not be looked up are among the [`failures`](Prefetched::failures).
    ///
    /// # Cancel safety
    /// What was looked up until it is dropped stays known. Calls under way go on for other callers; for those alone that this one
    /// waits for, nothing further is sent.
    pub fn prefetch(&self, payments: impl IntoIterator<Item = PaymentId>) -> Prefetch {
        Prefetch { lookups: self.0.handle(), payments: payments.into_iter().collect(), at_once: AT_ONCE }
    }

    /// Validates intents as they come from a stream, 32 at once, and gives back each with its answer, in their order.
    ///
    /// Intents that are there at the same moment have their facts read in the shared store together, so that most of them are then
    /// answered from memory. Each is otherwise validated as by [`validate`](Self::validate). It does nothing until it is polled. At most twice as many intents as are
    /// validated at once have been taken from the stream and not given back.
    ///
    /// ```
    /// # use payproof::{PaymentIntent, Validator};
    /// use futures_util::{StreamExt, stream};
    ///
    /// # async fn run(validator: &Validator, intents: Vec<PaymentIntent>) {
    /// let mut answers = validator.validate_all(stream::iter(intents));
    /// while let Some((intent, answer)) = answers.next().await {
    ///     println!("{}: {answer:?}", intent.payment());
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Each intent has its own, as [`validate`](Self::validate) has; one that fails holds up no other.
    ///
    /// # Cancel safety
    /// Dropped, the intents that were taken from the stream and not given back are lost; nothing is sent further for them, unless
    /// other callers wait for it.
    pub fn validate_all<S>(&self, intents: S) -> ValidateAll
    where
        S: Stream<Item: Into<PaymentIntent>> + Send + 'static,
    {
        ValidateAll {
            validator: self.clone(),
            intents: Some(Box::pin(intents.map(Into::into))),
            max_age: Duration::MAX,
            deadline: None,
            at_once: AT_ONCE,
            answers: None,
        }
    }
}

/// Facts that are made ready once it is awaited. Made by [`Validator::prefetch`].
#[must_use = "nothing is looked up until it is awaited"]
pub struct Prefetch {
    lookups: Arc<Handle<Lookups>>,
    payments: Vec<PaymentId>,
    at_once: usize,
}

impl Prefetch {
    setters! {
        /// How many payments are looked up at the same time, at least one. Default: 32.
        pub fn at_once(mut self, payments: usize) => self.at_once = payments;
    }

    async fn run(self) -> Prefetched {
        let Self { lookups, mut payments, at_once } = self;
        let mut seen = HashSet::with_capacity(payments.len());
        payments.retain(|payment| seen.insert(payment.clone()));
        lookups.account.watch_store();
        let recalled = lookups.recall_many(&payments).await;
        let mut ready = Prefetched::default();
        for recalled in &recalled {
            match recalled {
                Recalled::InMemory => ready.in_memory = ready.in_memory.saturating_add(1),
                Recalled::Stored => ready.from_store = ready.from_store.saturating_add(1),
                Recalled::Unknown => {}
            }
        }
        let unknown = payments.into_iter().zip(recalled).filter(|(_, recalled)| *recalled == Recalled::Unknown);
        let unknown: Vec<PaymentId> = unknown.map(|(payment, _)| payment).collect();
        let look_up = |payment: PaymentId| {
            let lookups = Arc::clone(&lookups);
            async move { (lookups.look_up(&payment).await, payment) }
        };
        let mut answers = stream::iter(unknown).map(look_up).buffer_unordered(at_once.max(1));
        while let Some((answer, payment)) = answers.next().await {
            let count = match answer {
                Ok(None) => &mut ready.in_memory,
                Ok(Some(Source::Asked)) => &mut ready.from_provider,
                Ok(Some(Source::Stored | Source::Elsewhere)) => &mut ready.from_store,
                Err(error) => {
                    ready.failures.push((payment, error));
                    continue;
                }
            };
            *count = count.saturating_add(1);
        }
        ready
    }
}

impl IntoFuture for Prefetch {
    type Output = Prefetched;
    type IntoFuture = Pin<Box<dyn Future<Output = Prefetched> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

partial_debug!(Prefetch, self => payments: self.payments.len(), at_once: self.at_once);

/// What became of a [`prefetch`](Validator::prefetch): each payment counts once.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    in_memory: usize,
    from_store: usize,
    from_provider: usize,
    failures: Vec<(PaymentId, ValidateError)>,
}

impl Prefetched {
    getters! {
        /// Payments whose facts were in memory already, or were looked up by another call meanwhile.
        pub fn in_memory(&self) -> usize => self.in_memory;

        /// Payments whose facts the shared store had, or another process looked up meanwhile.
        pub fn from_store(&self) -> usize => self.from_store;

        /// Payments that the provider was asked about.
        pub fn from_provider(&self) -> usize => self.from_provider;

        /// Payments that could not be looked up, and why, in the order in which that was known.
        pub fn failures(&self) -> &[(PaymentId, ValidateError)] => &self.failures;
    }
}

/// An intent with its answer.
type Answered = (PaymentIntent, Result<Validation, ValidateError>);

type Intents = Pin<Box<dyn Stream<Item = PaymentIntent> + Send>>;

/// Validations that begin once it is polled. Made by [`Validator::validate_all`].
#[must_use = "nothing is validated until it is polled"]
pub struct ValidateAll {
    validator: Validator,
    /// Taken when it begins.
    intents: Option<Intents>,
    max_age: Duration,
    deadline: Option<Duration>,
    at_once: usize,
    answers: Option<Pin<Box<dyn Stream<Item = Answered> + Send>>>,
}

impl ValidateAll {
    setters! {
        /// How many intents are validated at the same time, at least one. Default: 32.
        pub fn at_once(mut self, intents: usize) => self.at_once = intents;

        /// As [`Validate::max_age`](super::Validate::max_age), for each of them.
        pub fn max_age(mut self, age: Duration) => self.max_age = age;

        /// As [`Validate::deadline`](super::Validate::deadline), for each of them, from when it is begun.
        pub fn deadline(mut self, limit: Duration) => self.deadline = Some(limit);
    }

    fn begin(&self, intents: Intents) -> impl Stream<Item = Answered> + Send + use<> {
        let (max_age, deadline, at_once) = (self.max_age, self.deadline, self.at_once.max(1));
        let (validator, lookups) = (self.validator.clone(), self.validator.0.handle());
        let recall = move |intents: Vec<PaymentIntent>| {
            let lookups = Arc::clone(&lookups);
            async move {
                if !max_age.is_zero() {
                    let payments: Vec<PaymentId> = intents.iter().map(|intent| intent.payment().clone()).collect();
                    lookups.recall_many(&payments).await;
                }
                stream::iter(intents)
            }
        };
        let validate = move |intent: PaymentIntent| {
            let mut validation = validator.validate(&intent).max_age(max_age);
            if let Some(limit) = deadline {
                validation = validation.deadline(limit);
            }
            async move { (intent, validation.await) }
        };
        intents.ready_chunks(at_once).then(recall).flatten().map(validate).buffered(at_once)
    }
}

impl Stream for ValidateAll {
    type Item = Answered;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answered>> {
        if let Some(intents) = self.intents.take() {
            self.answers = Some(Box::pin(self.begin(intents)));
        }
        self.answers.as_mut().map_or(Poll::Ready(None), |answers| answers.as_mut().poll_next(cx))
    }
}

partial_debug!(ValidateAll, self => at_once: self.at_once, max_age: self.max_age, deadline: self.deadline);
