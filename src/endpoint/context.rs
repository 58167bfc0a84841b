//! Which request it is, and what it asks for.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Uri};

use crate::guard::OperationReference;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::key::IdempotencyKey;
use crate::ledger::{Key, RecordKind};

use super::sameness::whole_uri;
use super::scope::Scope;
use super::settings::LayerSettings;

/// Where a request's record stands, and what it has to be about. A clone costs two counters.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) digest: Fingerprint,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
    pub(super) tenant: Arc<str>,
    pub(super) method: Method,
    /// As it was sent.
    pub(super) uri: Uri,
}

impl RequestContext {
    /// What names the request without saying what it is.
    pub(super) fn reference(&self) -> OperationReference {
        OperationReference::new(self.digest)
    }

    /// A digest of what a request is known by: provider, account, mode, service, scope, method and key.
    pub(super) fn digest(settings: &LayerSettings, scope: &Scope, key: &IdempotencyKey, parts: &Parts) -> Fingerprint {
        let [tenant, principal] = scope.parts();
        let whose = [&*settings.service, tenant, principal, parts.method.as_str(), key.as_str()];
        settings.account.identity.fingerprint("request", &whose)
    }

    pub(super) fn new(
        settings: &LayerSettings,
        scope: &Scope,
        digest: Fingerprint,
        parts: &Parts,
        body: &[u8],
    ) -> Self {
        let [tenant, _] = scope.parts();
        let key = settings.account.ledger.key(RecordKind::Request, &digest);
        let fingerprint = settings.sameness.fingerprint(parts, body);
        let (method, uri) = (parts.method.clone(), whole_uri(parts).clone());
        Self { digest, key, fingerprint, tenant: tenant.into(), method, uri }
    }
}
