//! Which request it is, and what it asks for.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::guard::OperationReference;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::key::IdempotencyKey;
use crate::ledger::{Key, Ledger, RecordKind};

use super::scope::Scope;
use super::settings::LayerSettings;

/// Where a request's record stands, and what it has to be about. A clone costs two counters.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) digest: Fingerprint,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
    pub(super) tenant: Arc<str>,
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

    pub(super) fn new(ledger: &Ledger, scope: &Scope, digest: Fingerprint, parts: &Parts, body: &[u8]) -> Self {
        let [tenant, _] = scope.parts();
        let (key, fingerprint) = (ledger.key(RecordKind::Request, &digest), fingerprint(parts, body));
        Self { digest, key, fingerprint, tenant: tenant.into() }
    }
}

/// A digest of everything that tells what is asked for. The same key with anything else is another request.
///
/// The address counts as it was sent and as it is here: what stands between may have rewritten it by something else that
/// was sent, and a request made of another one's parts still bears that one's.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let addresses = [whole_uri(parts), &parts.uri];
    let addresses = addresses.into_iter().flat_map(|uri| [Some(uri.path().as_bytes()), uri.query().map(str::as_bytes)]);
    let types = parts.headers.get_all(CONTENT_TYPE).iter().map(|value| Some(value.as_bytes()));
    // There may be any number of types. The body comes last, so that it is never taken for one.
    Fingerprint::of("request asks", addresses.chain(types).chain([Some(body)]))
}

/// The address as the client sent it: a nested router of axum cuts off what it has read, and what is left is the same for
/// two of them.
#[cfg(feature = "axum")]
fn whole_uri(parts: &Parts) -> &http::Uri {
    parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn whole_uri(parts: &Parts) -> &http::Uri {
    &parts.uri
}
