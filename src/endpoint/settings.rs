//! What all routes of a layer have in common, and what each has of its own.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Method, StatusCode};

use crate::accessors::partial_debug;
use crate::account::Account;

use super::scope::Scope;
use super::tenant_keys::TenantKeys;

/// As long as Stripe keeps the result of a request, and longer than any client tries again.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a route wants a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPolicy {
    Required,
    Optional,
    Off,
}

/// What a route does with a request whose first run's end is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUnknown {
    /// It is never run again, and answered with 409 `IDEMPOTENCY_INDETERMINATE` for as long as its key is kept.
    #[default]
    Refuse,
    /// It is run again when it is sent again. Only for a handler whose effects are safe to repeat, or that are guarded by
    /// something else: a `redeem`, a [`Guard`](crate::guard::Guard), a UNIQUE column.
    RunAgain,
}

/// What a route has of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) key: KeyPolicy,
    pub(super) on_unknown: OnUnknown,
}

/// Says whose a request is.
pub(super) type ScopeOf = dyn Fn(&Parts) -> Option<Scope> + Send + Sync;

/// What makes no other request of the same key.
#[derive(Clone, Debug, Default)]
pub(super) struct Sameness {
    /// The names of query parameters that say nothing of what is asked for, as they stand in an address.
    pub(super) ignored_query: Vec<Box<str>>,
    /// Whether content types are compared by what they say, and multipart bodies without their boundaries.
    pub(super) normalizes_content_type: bool,
}

/// What all routes of a layer have in common.
pub(super) struct LayerSettings {
    pub(super) account: Arc<Account>,
    /// What the routes are of, the same for all its replicas.
    pub(super) service: Box<str>,
    pub(super) scope: Box<ScopeOf>,
    pub(super) handler_timeout: Duration,
    pub(super) lease: Duration,
    /// The longest it may take from asking for a claim to the handler's beginning.
    pub(super) time_to_begin: Duration,
    pub(super) retention: Duration,
    pub(super) wait: Duration,
    /// The keys that each tenant holds in this process, where they are limited.
    pub(super) keys: Option<TenantKeys>,
    pub(super) shortest_key: usize,
    pub(super) max_request_body: usize,
    pub(super) max_response_body: usize,
    pub(super) methods: Vec<Method>,
    pub(super) sameness: Sameness,
    pub(super) kept_headers: Vec<HeaderName>,
    pub(super) never_kept: Vec<StatusCode>,
    /// Whether the environment lets every request through.
    pub(super) checks_disabled: bool,
}

// Shows the numbers, and nothing of what is held.
partial_debug!(LayerSettings, self =>
    service: self.service, handler_timeout: self.handler_timeout, lease: self.lease, retention: self.retention,
    wait: self.wait, methods: self.methods, checks_disabled: self.checks_disabled
);
