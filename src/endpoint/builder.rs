//! Every setting of a layer, with its default; all checks are in `build`.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LINK, LOCATION,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};

use crate::accessors::{partial_debug, setters};
use crate::http::status_meaning::StatusMeaning;
use crate::payment::policy::TenantProof;
use crate::settings::build_error::BuildError;
use crate::settings::switch;
use crate::store::ttl_millis;
use crate::validator::Validator;

use super::layer::IdempotencyLayer;
use super::scope::Scope;
use super::settings::{LayerSettings, RETENTION, Sameness, ScopeOf};
use super::tenant_keys::TenantKeys;

/// What lets every request through, with the older name. For an emergency in which the checks do more harm than duplicates.
const DISABLE: [&str; 2] = ["PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS", "DISABLE_IDEMPOTENCY_CHECKS"];

/// A double click is answered by then, and a client that gave up sooner asks again.
const WAIT: Duration = Duration::from_secs(5);

/// Half of the records that a store in this process holds.
const KEYS_PER_TENANT: usize = 50_000;

/// Long enough not to be guessed or drawn twice by chance, and shorter than any UUID.
const SHORTEST_KEY: usize = 8;

/// More than any order is long. It is held in memory while the handler runs.
const MAX_REQUEST_BODY: usize = 1024 * 1024;

/// A record has 256 KiB, and headers need room as well.
const MAX_RESPONSE_BODY: usize = 128 * 1024;

/// What leaves that room.
const LARGEST_MAX_RESPONSE_BODY: usize = 224 * 1024;

/// The claim, with a second try.
const CALLS_BEFORE: u32 = 2;

/// The settling, with a second try.
const CALLS_AFTER: u32 = 2;

/// So much longer than all of that the default lease is, for a machine that is busy.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Those that change something.
const METHODS: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What describes a body, and where to look next. A cookie is the first client's own.
const KEPT_HEADERS: [HeaderName; 6] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, ETAG, LINK, LOCATION];

/// They speak of this connection and this copy of the body.
const NOT_TO_BE_KEPT: [HeaderName; 3] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

/// Those that say that nothing was done.
fn never_kept() -> Vec<StatusCode> {
    let not_executed = |status: &u16| StatusMeaning::of(*status) == StatusMeaning::NotExecuted;
    (100..600).filter(not_executed).filter_map(|status| StatusCode::from_u16(status).ok()).collect()
}

/// Settings of an [`IdempotencyLayer`].
///
/// | setting | default |
/// |---|---|
/// | `handler_timeout` | none: it has to be given |
/// | `lease` | the handler timeout, four times the store timeout, and 5 s |
/// | `retention` | 24 h |
/// | `wait` | 5 s |
/// | `min_key_length` | 8 characters |
/// | `max_keys_per_tenant` | none with a store or a single tenant; else 50,000, half of what fits into this process |
/// | `max_request_body` | 1 MiB |
/// | `max_response_body` | 128 KiB |
/// | `methods` | POST, PUT, PATCH, DELETE |
/// | `ignored_query_parameters` | none |
/// | `normalized_content_type` | off: content types are compared byte by byte, and bodies with their boundaries |
/// | `kept_headers` | Content-Type, Content-Encoding, Content-Language, `ETag`, Link, Location |
/// | `never_kept` | 401, 403, 405, 407, 425, 429 |
#[must_use = "a builder does nothing until `build` is called"]
pub struct IdempotencyLayerBuilder {
    settings: LayerSettings,
    lease: Option<Duration>,
    max_keys_per_tenant: Option<usize>,
}

impl IdempotencyLayer {
    /// Starts a layer that keeps its records where the validator keeps those of effects: in its store, or else in this
    /// process, and there for 100,000 keys at most.
    ///
    /// `service` names the service that the routes are of: 1 to 100 printable ASCII characters, yours to choose. All replicas of
    /// one service share it, and services that share a store each have their own: a gateway that passes a request on under its
    /// key then does not meet its own claim behind itself. It is part of what a request is known by, beside the validator's
    /// provider, account and mode; another name makes every key a new one.
    ///
    /// `handler_timeout` is the longest a handler may run, reading its answer included. `scope` says whose a request is, from
    /// what it was authenticated with; so the layer stands below (in axum: is added before) the one that authenticates.
    /// Without a scope a request is refused.
    pub fn builder(
        validator: &Validator,
        service: impl Into<Box<str>>,
        handler_timeout: Duration,
        scope: impl Fn(&Parts) -> Option<Scope> + Send + Sync + 'static,
    ) -> IdempotencyLayerBuilder {
        let scope: Box<ScopeOf> = Box::new(scope);
        let settings = LayerSettings {
            account: Arc::clone(&validator.0.account),
            service: service.into(),
            scope,
            handler_timeout,
            lease: Duration::ZERO,
            time_to_begin: Duration::ZERO,
            retention: RETENTION,
            wait: WAIT,
            keys: None,
            shortest_key: SHORTEST_KEY,
            max_request_body: MAX_REQUEST_BODY,
            max_response_body: MAX_RESPONSE_BODY,
            methods: METHODS.to_vec(),
            sameness: Sameness::default(),
            kept_headers: KEPT_HEADERS.to_vec(),
            never_kept: never_kept(),
            checks_disabled: false,
        };
        let is_shared_room = validator.0.shared.is_none() && validator.0.rules.tenant != TenantProof::SingleTenant;
        let max_keys_per_tenant = is_shared_room.then_some(KEYS_PER_TENANT);
        IdempotencyLayerBuilder { settings, lease: None, max_keys_per_tenant }
    }
}

impl IdempotencyLayerBuilder {
    setters! {
        /// How long a request under way is protected from being taken for one that crashed. Default: the handler
        /// timeout, four times the validator's `store_timeout`, and 5 s. It is not renewed. A handler for which it
        /// would no longer last does not begin: 503 `IDEMPOTENCY_UNAVAILABLE`.
        pub fn lease(mut self, lease: Duration) => self.lease = Some(lease);

        /// How long a key is kept, and its answer repeated. Default: 24 h.
        pub fn retention(mut self, retention: Duration) => self.settings.retention = retention;

        /// How long a duplicate waits for the first one. Default: 5 s. After that it is answered with 409. Zero never
        /// waits.
        ///
        /// Those that wait in one process look into the store together: about four times a second, however many they
        /// are.
        pub fn wait(mut self, wait: Duration) => self.settings.wait = wait;

        /// The most keys that one tenant of the [`Scope`] may hold through this layer in one process. Default: with a
        /// store none, since only its owner knows what it holds; without one 50,000, half of what fits into this
        /// process, or none with [`single_tenant`](crate::ValidatorBuilder::single_tenant).
        ///
        /// Further ones are answered with 503 `IDEMPOTENCY_SHARE_FULL`, which names this setting, and nothing runs;
        /// keys held are answered as always, and other tenants go on. A tenant's principals share, since there may be
        /// any number of them.
        pub fn max_keys_per_tenant(mut self, keys: usize) => self.max_keys_per_tenant = Some(keys);

        /// The shortest key that is accepted, in characters. Default: 8. The longest has 255.
        pub fn min_key_length(mut self, characters: usize) => self.settings.shortest_key = characters;

        /// The longest body of a request, in bytes. Default: 1 MiB. A longer one is refused before anything is claimed.
        pub fn max_request_body(mut self, bytes: usize) => self.settings.max_request_body = bytes;

        /// The longest body of a response that is kept, in bytes. Default: 128 KiB; at most 224 KiB. A longer one
        /// reaches the first client, and duplicates are told that it was not kept.
        pub fn max_response_body(mut self, bytes: usize) => self.settings.max_response_body = bytes;

        /// The methods whose requests are looked at. Default: POST, PUT, PATCH, DELETE.
        pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) =>
            self.settings.methods = methods.into_iter().collect();

        /// Names of query parameters that say nothing of what is asked for, such as `utm_source`: with another value of
        /// one, or without it, a request is still the same. Default: none. A name is compared byte by byte with the one in
        /// the address, before any `%` is decoded.
        pub fn ignored_query_parameters(mut self, names: impl IntoIterator<Item = impl Into<Box<str>>>) =>
            self.settings.sameness.ignored_query = names.into_iter().map(Into::into).collect();

        /// Compares content types by what they say, and multipart bodies without the boundary between their parts, which
        /// browsers draw anew each time. Default: byte by byte.
        ///
        /// The order of parameters, the case of their names and of a charset, quotation marks and blanks then make no other
        /// request, and `application/json` is the same with `charset=utf-8` and without.
        pub fn normalized_content_type(mut self) => self.settings.sameness.normalizes_content_type = true;

        /// The headers of a response that are kept with it. Default: those that describe its body, `ETag`, Link and
        /// Location.
        pub fn kept_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) =>
            self.settings.kept_headers = headers.into_iter().collect();

        /// The statuses whose answers are never kept, since they say that nothing was done: the key is released, and
        /// the same request runs again. Default: 401, 403, 405, 407, 425, 429.
        ///
        /// Never name 408 where anything below the layer cuts handlers off, as tower-http's `TimeoutLayer` does: a
        /// handler that had its effect before it was cut off would have it twice under one key.
        pub fn never_kept(mut self, statuses: impl IntoIterator<Item = StatusCode>) =>
            self.settings.never_kept = statuses.into_iter().collect();
    }

    /// Checks every setting, and builds the layer.
    ///
    /// Reads the environment: `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS`, or `DISABLE_IDEMPOTENCY_CHECKS`, lets every request
    /// through this layer when it is 1, true, yes or on, and does not when it is 0, false, no or off, in any case, blanks
    /// around it left out; an empty one counts as unset. It is logged, counted, and shown by the validator's health;
    /// redemptions, guarded effects and provider keys are not touched by it.
    ///
    /// # Errors
    /// When a setting is outside what makes sense, or two contradict each other. The error carries the values. So it is for
    /// the variable when it says anything else, or the two names contradict each other; its value is not repeated.
    pub fn build(mut self) -> Result<IdempotencyLayer, BuildError> {
        let store_timeout = self.settings.account.ledger.timeout;
        let after_beginning = self.settings.handler_timeout.saturating_add(store_timeout.saturating_mul(CALLS_AFTER));
        let shortest_lease = after_beginning.saturating_add(store_timeout.saturating_mul(CALLS_BEFORE));
        self.settings.lease = self.lease.unwrap_or_else(|| shortest_lease.saturating_add(LEASE_MARGIN));
        self.settings.time_to_begin = self.settings.lease.saturating_sub(after_beginning);
        self.check(shortest_lease)?;
        self.settings.keys = self.max_keys_per_tenant.map(|share| TenantKeys::new(share, self.settings.retention));
        self.settings.checks_disabled = switch::read_either(DISABLE)?.unwrap_or(false);
        if self.settings.checks_disabled {
            self.settings.account.telemetry.checks_disabled();
        }
        Ok(IdempotencyLayer::new(self.settings))
    }

    fn check(&self, shortest_lease: Duration) -> Result<(), BuildError> {
        let LayerSettings { handler_timeout, lease, retention, shortest_key, max_response_body, .. } = self.settings;
        let (runs, is_kept) = (handler_timeout >= Duration::from_millis(1), ttl_millis(retention).is_ok());
        let has_room = max_response_body <= LARGEST_MAX_RESPONSE_BODY;
        BuildError::check_name("service", &self.settings.service)?;
        BuildError::check("handler_timeout", handler_timeout, runs, "at least 1 ms")?;
        BuildError::check("retention", retention, is_kept, "more than zero and at most 100 years")?;
        BuildError::check("min_key_length", shortest_key, (1..=255).contains(&shortest_key), "1 to 255")?;
        BuildError::check("max_response_body", max_response_body, has_room, "at most 224 KiB")?;
        if let Some(name) = self.settings.kept_headers.iter().find(|name| NOT_TO_BE_KEPT.contains(name)) {
            let rule = "headers of the answer, and not of the connection";
            return Err(BuildError::out_of_range("kept_headers", name.to_string(), rule));
        }
        BuildError::check_order("handler_timeout and four times store_timeout", shortest_lease, "lease", lease)?;
        BuildError::check_order("lease", lease, "retention", retention)
    }
}

partial_debug!(IdempotencyLayerBuilder, self => settings: self.settings);
