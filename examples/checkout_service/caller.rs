//! Who is calling: the tenant and the principal, from a bearer token.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use payproof::endpoint::Scope;
use payproof::envelope::Failure;

/// Tokens of this example. A service looks into its sessions, or verifies a signature.
const TOKENS: [(&str, Caller); 2] = [
    ("demo-anna", Caller { tenant: "store_42", principal: "anna" }),
    ("demo-ben", Caller { tenant: "store_43", principal: "ben" }),
];

/// The token that the shoppers of the stage use.
pub(crate) const ANNA: &str = TOKENS[0].0;

/// Who is calling, as the service knows it. Never from the request's body: a browser may claim any store there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: &'static str,
    pub(crate) principal: &'static str,
}

impl Caller {
    /// Whose an idempotency key is: another shopper's same key is another key.
    pub(crate) fn scope(request: &Parts) -> Option<Scope> {
        let caller = request.extensions.get::<Self>()?;
        Scope::new(caller.tenant, caller.principal).ok()
    }
}

/// Lets a request pass with its caller beside it, or answers 401.
///
/// It stands before the idempotency layer, which replays an answer only to whom it belongs.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Response {
    let Some(caller) = caller(request.headers()) else {
        return Failure::new(401, "UNAUTHENTICATED", "a bearer token is needed").into_response();
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn caller(headers: &HeaderMap) -> Option<Caller> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    TOKENS.iter().find(|(known, _)| *known == token).map(|(_, caller)| *caller)
}
