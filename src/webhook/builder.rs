//! Every setting of an endpoint for webhooks, with its default; all checks are in `build`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::accessors::{partial_debug, setters};
use crate::lookup::lookups::Forget;
use crate::settings::build_error::BuildError;
use crate::validator::Validator;

use super::signature::SigningSecret;
use super::{DeliveryTimes, Endpoint, OtherAccounts, StripeWebhooks, following};

/// What Stripe's own libraries tolerate.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Longer than a handler should take that stores an event and leaves the work to others.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// Stripe delivers an event for three days, and lets people send it again for thirty.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Events have a few thousand bytes.
const MAX_BODY: usize = 1024 * 1024;

/// The claim, with a second try. By then the payment is forgotten that the body names.
const CALLS_TO_BEGIN: u32 = 2;

/// To forget what the object leads to, with a second try of both steps.
const CALLS_TO_FORGET: u32 = 4;

/// To settle, in either edition of the claim, each with a second try.
const CALLS_TO_END: u32 = 4;

/// So much longer than all of that a claim is protected, for a machine that is busy.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Every store can keep a record this long.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Settings of [`StripeWebhooks`]; checked by `build`.
#[must_use = "a builder does nothing until `build` is called"]
pub struct StripeWebhooksBuilder {
    /// Without its secrets, and what follows from the settings.
    endpoint: Endpoint,
    /// As they were given.
    secrets: Vec<Box<str>>,
}

impl StripeWebhooksBuilder {
    pub(super) fn new(validator: &Validator, name: Box<str>, secret: Box<str>) -> Self {
        let endpoint = Endpoint {
            account: Arc::clone(&validator.0.account),
            forget: Forget::new(&validator.0),
            mode: validator.0.rules.mode,
            name,
            secrets: Vec::new(),
            tolerance: TOLERANCE,
            handler_timeout: HANDLER_TIMEOUT,
            retention: RETENTION,
            max_body: MAX_BODY,
            other_accounts: OtherAccounts::default(),
            places: Semaphore::new(following::AT_ONCE),
            times: <[DeliveryTimes; 2]>::default(),
        };
        Self { endpoint, secrets: vec![secret] }
    }

    setters! {
        /// Takes signatures of another secret too: while secrets are rotated, and where a destination for snapshot events and one
        /// for thin events both deliver here, each with its own secret.
        pub fn secret(mut self, secret: impl Into<Box<str>>) => self.secrets.push(secret.into());

        /// How far the time of a signature may be from this machine's clock, either way. Default: 300 s. At least 1 s.
        pub fn tolerance(mut self, tolerance: Duration) => self.endpoint.tolerance = tolerance;

        /// The longest a handler may take; it is then cut off by dropping its future. Default: 30 s.
        ///
        /// Stripe may hang up sooner; the handler goes on, and the next delivery finds what came of it.
        ///
        /// How long others wait before they take over from a process that crashed follows from it: this, six times the
        /// [`store_timeout`](crate::ValidatorBuilder::store_timeout), and 5 s. For a thin event whose object is asked for it is
        /// four times the `store_timeout` and 10 s longer.
        pub fn handler_timeout(mut self, timeout: Duration) => self.endpoint.handler_timeout = timeout;

        /// How long it is remembered that an event was handled. Default: 30 days, as long as Stripe's dashboard sends
        /// an event again.
        ///
        /// At least twice the tolerance, so that a recorded request cannot be replayed, and more than a delivery takes.
        pub fn retention(mut self, retention: Duration) => self.endpoint.retention = retention;

        /// The largest body, in bytes. Default: 1 MiB. Let the server that reads bodies stop there too.
        pub fn max_body(mut self, bytes: usize) => self.endpoint.max_body = bytes;

        /// What happens to events of other accounts than the validator's, once their payments are forgotten. Default:
        /// [`OtherAccounts::Ignore`]: they are acknowledged and ignored.
        pub fn other_accounts(mut self, other_accounts: OtherAccounts) => self.endpoint.other_accounts = other_accounts;
    }

    /// Checks every setting, and makes the endpoint.
    ///
    /// # Errors
    /// `Credential` when a secret is none of an endpoint's, `OutOfRange` when a setting is outside what makes sense,
    /// `Contradiction` when the retention is shorter than what it has to cover. No error repeats a secret.
    pub fn build(self) -> Result<StripeWebhooks, BuildError> {
        let Self { mut endpoint, secrets } = self;
        BuildError::check_name("endpoint", &endpoint.name)?;
        let secrets = secrets.iter().map(|secret| SigningSecret::parse(secret)).collect::<Result<_, _>>();
        endpoint.secrets =
            secrets.map_err(|rule| BuildError::Credential { what: "signing secret of the webhooks", rule })?;
        let Endpoint { tolerance, handler_timeout, retention, max_body, .. } = endpoint;
        let may_run = handler_timeout >= Duration::from_millis(1);
        BuildError::check("tolerance", tolerance, tolerance >= Duration::from_secs(1), "at least 1 s")?;
        BuildError::check("handler_timeout", handler_timeout, may_run, "at least 1 ms")?;
        BuildError::check("retention", retention, retention <= LONGEST_LIFE, "at most 10 years")?;
        BuildError::check("max_body", max_body, max_body > 0, "at least 1")?;
        let store_timeout = endpoint.account.ledger.timeout;
        let to_begin = store_timeout.saturating_mul(CALLS_TO_BEGIN).saturating_add(LEASE_MARGIN);
        let to_follow = store_timeout.saturating_mul(CALLS_TO_FORGET).saturating_add(following::LIMIT);
        let time_to_end = store_timeout.saturating_mul(CALLS_TO_END);
        endpoint.times = [to_begin, to_begin.saturating_add(to_follow)].map(|to_begin| DeliveryTimes {
            to_begin,
            lease: to_begin.saturating_add(handler_timeout).saturating_add(time_to_end),
        });
        let [_, longest] = endpoint.times;
        BuildError::check_order("twice the tolerance", tolerance.saturating_mul(2), "retention", retention)?;
        BuildError::check_order("the longest delivery and 5 s", longest.lease, "retention", retention)?;
        Ok(StripeWebhooks(Arc::new(endpoint)))
    }
}

partial_debug!(StripeWebhooksBuilder, self => endpoint: self.endpoint, secrets: self.secrets.len());
