//! Which request it is, and what it asks for.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::fingerprint::Fingerprint;
use crate::guard::OperationReference;
use crate::key::IdempotencyKey;
use crate::ledger::{Key, Kind, Ledger};

use super::scope::Scope;

/// Where a request's record stands, and what it has to be about.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) digest: Fingerprint,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
}

impl Place {
    /// What names the request without saying what it is.
    pub(super) fn reference(&self) -> OperationReference {
        OperationReference::new(self.digest)
    }

    /// A request is known by scope, method and key.
    pub(super) fn new(ledger: &Ledger, scope: &Scope, key: &IdempotencyKey, parts: &Parts, body: &[u8]) -> Self {
        let [tenant, principal] = scope.parts();
        let whose = [tenant, principal, parts.method.as_str(), key.as_str()];
        let digest = Fingerprint::of("request", whose.map(|part| Some(part.as_bytes())));
        Self { digest, key: ledger.key(Kind::Request, &digest), fingerprint: fingerprint(parts, body) }
    }
}

/// A digest of everything that tells what is asked for. The same key with anything else is another request.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let uri = whole_uri(parts);
    let path = Some(uri.path().as_bytes());
    let query = uri.query().map(str::as_bytes);
    Fingerprint::of("request asks", [path, query, content_type(&parts.headers), Some(body)])
}

fn content_type(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes)
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
