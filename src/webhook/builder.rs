//! Every setting of an endpoint for webhooks, with its default; all checks are in `build`.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{partial_debug, setters};
use crate::account::Account;
use crate::lookup::lookups::Forget;
use crate::payment::facts::Mode;
use crate::settings::build_error::BuildError;
use crate::validator::Validator;

use super::signature::SigningSecret;
use super::{Endpoint, OtherAccounts, StripeWebhooks};

/// What Stripe's own libraries tolerate.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Longer than a handler should take that stores an event and leaves the work to others.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// Stripe delivers an event for three days, and lets people send it again for thirty.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Events have a few thousand bytes.
const MAX_BODY: usize = 1024 * 1024;

/// The claim, with a second try. By then the payment is forgotten.
const CALLS_TO_BEGIN: u32 = 2;

/// To settle, in either edition of the claim, each with a second try.
const CALLS_TO_END: u32 = 4;

/// So much longer than all of that a claim is protected, for a machine that is busy.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Every store can keep a record this long.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Settings of [`StripeWebhooks`]; checked by `build`.
///
/// | setting | default |
/// |---|---|
/// | `tolerance` | 300 s, into the past and into the future |
/// | `handler_timeout` | 30 s |
/// | `retention` | 30 days |
/// | `max_body` | 1 MiB |
/// | `other_accounts` | [`OtherAccounts::Ignore`] |
#[must_use = "a builder does nothing until `build` is called"]
pub struct StripeWebhooksBuilder {
    account: Arc<Account>,
    forget: Forget,
    mode: Mode,
    name: Box<str>,
    /// As they were given.
    secrets: Vec<Box<str>>,
    tolerance: Duration,
    handler_timeout: Duration,
    retention: Duration,
    max_body: usize,
    other_accounts: OtherAccounts,
}

impl StripeWebhooksBuilder {
    pub(super) fn new(validator: &Validator, name: Box<str>, secret: Box<str>) -> Self {
        Self {
            account: Arc::clone(&validator.0.account),
            forget: Forget::new(&validator.0),
            mode: validator.0.rules.mode,
            name,
            secrets: vec![secret],
            tolerance: TOLERANCE,
            handler_timeout: HANDLER_TIMEOUT,
            retention: RETENTION,
            max_body: MAX_BODY,
            other_accounts: OtherAccounts::default(),
        }
    }

    /// Takes signatures of another secret too, while secrets are rotated.
    pub fn secret(mut self, secret: impl Into<Box<str>>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    setters! {
        /// How far the time of a signature may be from this machine's clock, either way. Default: 300 s. At least 1 s.
        pub fn tolerance(mut self, tolerance: Duration) => self.tolerance = tolerance;

        /// The longest a handler may take; it is then cut off by dropping its future. Default: 30 s.
        ///
        /// Stripe may hang up sooner; the handler goes on, and the next delivery finds what came of it.
        ///
        /// How long others wait before they take over from a process that crashed follows from it: this, six times the
        /// [`store_timeout`](crate::ValidatorBuilder::store_timeout), and 5 s.
        pub fn handler_timeout(mut self, timeout: Duration) => self.handler_timeout = timeout;

        /// How long it is remembered that an event was handled. Default: 30 days, as long as Stripe's dashboard sends
        /// an event again.
        ///
        /// At least twice the tolerance, so that a recorded request cannot be replayed, and more than a delivery takes.
        pub fn retention(mut self, retention: Duration) => self.retention = retention;

        /// The largest body, in bytes. Default: 1 MiB. Let the server that reads bodies stop there too.
        pub fn max_body(mut self, bytes: usize) => self.max_body = bytes;

        /// What happens to events of other accounts than the validator's, once their payments are forgotten. Default:
        /// they are acknowledged and ignored.
        pub fn other_accounts(mut self, other_accounts: OtherAccounts) => self.other_accounts = other_accounts;
    }

    /// Checks every setting, and makes the endpoint.
    ///
    /// # Errors
    /// `Credential` when a secret is none of an endpoint's, `OutOfRange` when a setting is outside what makes sense,
    /// `Contradiction` when the retention is shorter than what it has to cover. No error repeats a secret.
    pub fn build(self) -> Result<StripeWebhooks, BuildError> {
        BuildError::check_name("endpoint", &self.name)?;
        let secrets = self.secrets.iter().map(|secret| SigningSecret::parse(secret)).collect::<Result<_, _>>();
        let secrets =
            secrets.map_err(|rule| BuildError::Credential { what: "signing secret of the webhooks", rule })?;
        if self.tolerance < Duration::from_secs(1) {
            return Err(BuildError::out_of_range("tolerance", format!("{:?}", self.tolerance), "at least 1 s"));
        }
        if self.handler_timeout < Duration::from_millis(1) {
            return Err(BuildError::out_of_range(
                "handler_timeout",
                format!("{:?}", self.handler_timeout),
                "at least 1 ms",
            ));
        }
        if self.retention > LONGEST_LIFE {
            return Err(BuildError::out_of_range("retention", format!("{:?}", self.retention), "at most 10 years"));
        }
        if self.max_body == 0 {
            return Err(BuildError::out_of_range("max_body", "0".into(), "at least 1"));
        }
        let store_timeout = self.account.ledger.timeout();
        let time_to_begin = store_timeout.saturating_mul(CALLS_TO_BEGIN).saturating_add(LEASE_MARGIN);
        let time_to_end = store_timeout.saturating_mul(CALLS_TO_END);
        let lease = time_to_begin.saturating_add(self.handler_timeout).saturating_add(time_to_end);
        let to_cover =
            [("twice the tolerance", self.tolerance.saturating_mul(2)), ("the longest delivery and 5 s", lease)];
        for (shorter, shorter_value) in to_cover {
            BuildError::check_order(shorter, shorter_value, "retention", self.retention)?;
        }
        Ok(StripeWebhooks(Arc::new(Endpoint {
            account: self.account,
            forget: self.forget,
            mode: self.mode,
            name: self.name,
            secrets,
            tolerance: self.tolerance,
            handler_timeout: self.handler_timeout,
            retention: self.retention,
            max_body: self.max_body,
            other_accounts: self.other_accounts,
            time_to_begin,
            lease,
        })))
    }
}

// Shows no secret.
partial_debug!(StripeWebhooksBuilder, self =>
    endpoint: self.name, secrets: self.secrets.len(), tolerance: self.tolerance, handler_timeout: self.handler_timeout,
    retention: self.retention, max_body: self.max_body, other_accounts: self.other_accounts
);
