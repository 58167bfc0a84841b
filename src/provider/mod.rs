//! What a payment provider has to be able to do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{getters, setters};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::money::Units;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::{Mode, ProviderPayment};
use crate::settings::build_error::BuildError;

pub(crate) mod attempt_log;
mod call;
mod error;
mod from_closure;
mod related;
#[cfg(feature = "stripe")]
pub(crate) mod stripe;

pub use attempt_log::{Attempt, AttemptOutcome, Reach, Rule, WaitReason};
pub use call::Call;
pub(crate) use call::Door;
pub(crate) use error::{Advice, Kind};
pub use error::{ProviderError, RateLimit};
pub use from_closure::provider_fn;
pub use related::{RelatedAnswer, RelatedObject};

/// The longest name of an account; far beyond what providers have.
const MAX_ACCOUNT: usize = 255;

/// Who the provider is and whose account is asked, as stated by its adapter and never derived from a credential.
///
/// Rotating a key changes nothing here, so facts and keys stay where they are. Records in a store belong to one provider,
/// account and mode: with a store, [`build`](crate::ValidatorBuilder::build) demands that the account is named, or that it
/// is the [only one](Self::only_account).
///
/// ```
/// use payproof::provider::ProviderIdentity;
///
/// let acme = ProviderIdentity::new("acme").with_account("merchant_7").with_label("Acme, Europe");
/// assert_eq!(acme.account(), Some("merchant_7"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderIdentity {
    name: Box<str>,
    account: Account,
    label: Option<Box<str>>,
    mode: Mode,
    units: Units,
    unique_ids: bool,
    /// How this provider's users name an account, for errors.
    account_setting: &'static str,
}

/// Which of a provider's accounts is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Account {
    Unstated,
    Only,
    Named(Box<str>),
}

impl Account {
    /// Where there is one account, it needs no name.
    const UNNAMED: &'static str = "default";

    /// What stands for the account in digests.
    fn as_str(&self) -> &str {
        match self {
            Self::Unstated | Self::Only => Self::UNNAMED,
            Self::Named(name) => name,
        }
    }
}

impl ProviderIdentity {
    /// Names a provider: `stripe`. No account stated, mode live, units of ISO 4217 unless told otherwise.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            account: Account::Unstated,
            label: None,
            mode: Mode::Live,
            units: Units::iso_4217(),
            unique_ids: false,
            account_setting: "`ProviderIdentity::with_account`",
        }
    }

    setters! {
        /// The account's name at the provider, the same however the account is reached: `acct_1032D82eZvKYlo2C`.
        ///
        /// Validators over one store share the facts, keys and operations of an account when they state the same name,
        /// and nothing otherwise. Take the provider's own id: a name that two accounts share mixes their payments. Keep
        /// it: under another name everything counts as new, and where ids are not
        /// [globally unique](Self::globally_unique_ids), payments that were redeemed under the old one do too. 1 to 255
        /// bytes; `build` refuses others.
        pub fn with_account(mut self, name: impl Into<Box<str>>) => self.account = Account::Named(name.into());

        /// A name of the account for people: metrics and health show it instead of [`account`](Self::account). It keeps
        /// nothing apart.
        ///
        /// An account may have been named by it before, so a payment that was redeemed under that name counts as used.
        /// Where ids are not [globally unique](Self::globally_unique_ids), never label an account with the name of
        /// another one.
        pub fn with_label(mut self, label: impl Into<Box<str>>) => self.label = Some(label.into());

        /// Which payments the credential can see.
        pub fn with_mode(mut self, mode: Mode) => self.mode = mode;

        /// How the provider's integers relate to major units.
        pub fn with_units(mut self, units: Units) => self.units = units;

        /// States that no two payments at this provider have the same id, whichever accounts they belong to. Not stated
        /// unless set.
        ///
        /// A payment's redemption then stands under provider, mode and id alone: however its account is named, labeled
        /// and reached, a used payment stays used. Unless this is stated, the account's name is part of that place, so
        /// that equal ids of two accounts are two payments.
        pub fn globally_unique_ids(mut self) => self.unique_ids = true;

        /// How a user of this provider's adapter names an account.
        #[cfg(feature = "stripe")]
        pub(crate) fn account_setting(mut self, setting: &'static str) => self.account_setting = setting;

        /// States that the store holds records of no other account at this provider, so that the account needs no name.
        ///
        /// If that is not true, the accounts share facts: a payment into one is then valid for the other. When a second
        /// account comes, name both, in all processes at once. Payments that were redeemed stay used, and where ids are
        /// not [globally unique](Self::globally_unique_ids), they are used for every account that is named later. The
        /// rest stands under another name from then on: facts are asked for and callers' keys bound anew, and a guarded
        /// operation counts as new, so that one which was executed is executed again if it is run again. Do not go back
        /// from a name to this. A name stated before or after this wins over it.
        pub fn only_account(mut self) => if self.account == Account::Unstated {
            self.account = Account::Only;
        };
    }

    getters! {
        /// The account's name at the provider; `None` where it is not stated, or the only one.
        pub fn account(&self) -> Option<&str> => match &self.account {
            Account::Named(name) => Some(name),
            Account::Unstated | Account::Only => None,
        };

        /// The provider's name.
        pub fn name(&self) -> &str => &self.name;

        /// The units table.
        pub fn units_table(&self) -> &Units => &self.units;

        /// What people are shown for the account: the label, else the account's name, else `default`.
        pub fn label(&self) -> &str => self.label.as_deref().unwrap_or_else(|| self.account.as_str());

        /// Which payments the credential can see.
        pub fn mode(&self) -> Mode => self.mode;
    }

    /// Another account at the same provider, in the same mode.
    #[cfg(feature = "webhook")]
    pub(crate) fn of_account(&self, name: &str) -> Self {
        Self { account: Account::Named(name.into()), label: None, ..self.clone() }
    }

    /// Whether the other one is of the same account at the same provider, in the same mode.
    #[cfg(feature = "webhook")]
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        (&self.name, &self.account, self.mode) == (&other.name, &other.account, other.mode)
    }

    /// Whether records of this account may stand beside those of others.
    pub(crate) fn check_account(&self, has_store: bool) -> Result<(), BuildError> {
        match &self.account {
            Account::Named(name) => {
                let (length, is_kept) = (name.len(), (1..=MAX_ACCOUNT).contains(&name.len()));
                let value = format_args!("{length} bytes long");
                BuildError::check("account", value, is_kept, "a name of 1 to 255 bytes")
            }
            Account::Unstated if has_store => {
                Err(BuildError::AccountUnstated { provider: self.name.to_string(), setting: self.account_setting })
            }
            _ => Ok(()),
        }
    }

    /// A digest of something at this provider, account and mode. Neither the label nor units are part of it.
    pub(crate) fn fingerprint(&self, purpose: &str, parts: &[&str]) -> Fingerprint {
        let whose = [&*self.name, self.account.as_str(), self.mode.as_str()];
        Fingerprint::of(purpose, whose.iter().chain(parts).map(|part| Some(part.as_bytes())))
    }

    /// Where the redemption of a payment stands.
    pub(crate) fn redemption(&self, payment: &PaymentId) -> Fingerprint {
        if !self.unique_ids {
            return self.redemption_at(self.account.as_str(), payment);
        }
        let parts = [&*self.name, self.mode.as_str(), payment.as_str()];
        Fingerprint::of("redemption of a unique id", parts.map(|part| Some(part.as_bytes())))
    }

    /// Where it may stand from the time when the account had no name, or its label was part of the place. These places are
    /// read, so that a used payment stays used, and no redemption is recorded there any more.
    pub(crate) fn former_redemptions(&self, payment: &PaymentId) -> Vec<Fingerprint> {
        let (name, label) = (self.account(), self.label.as_deref());
        let both = name.zip(label).map(|(name, label)| format!("{label}/{name}"));
        let current = self.redemption(payment);
        let mut places = Vec::with_capacity(4);
        for account in [Some(Account::UNNAMED), name, label, both.as_deref()].into_iter().flatten() {
            let place = self.redemption_at(account, payment);
            if place != current && !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    fn redemption_at(&self, account: &str, payment: &PaymentId) -> Fingerprint {
        let parts = [&*self.name, account, self.mode.as_str(), payment.as_str()];
        Fingerprint::of("redemption", parts.map(|part| Some(part.as_bytes())))
    }
}

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

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        Provider::read_refusal(self, answer)
    }
}
