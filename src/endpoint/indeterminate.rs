//! The list of indeterminate requests: their handler may have had its effect or not.
//!
//! A request comes on it when its run ends so, or when another one finds that the process of its run is gone. So a request whose
//! process crashed, and which its client never sends again, is on no list.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::account::{Account, DecidedOn, Index, Listing, Unlisted};
use crate::guard::IndeterminateList;
use crate::ledger::{LedgerError, RecordKind};
use crate::redaction::presentable_in_bytes;
use crate::validator::Validator;

use super::context::RequestContext;
use super::record::{RequestPayload, RequestPhase};
use super::settings::{LayerSettings, RETENTION};

/// As long as an operation's name may be.
const LONGEST_NAME: usize = 100;

/// The list of requests.
const REQUESTS: Listing = Listing {
    kind: RecordKind::Request,
    on: DecidedOn::Request,
    purpose: "indeterminate requests",
    is_marked: |held| Ok(matches!(RequestPayload::read(held)?.phase, RequestPhase::Indeterminate)),
    backlog: |account| &account.requests_backlog,
};

/// The list of requests of an account, for who takes one off or reads it.
pub(super) fn requests(account: &Account) -> Index<'_> {
    Index::new(account, &REQUESTS, RETENTION)
}

impl Validator {
    /// What has to be looked into: the requests with an idempotency key of which it is unknown what became of them, of every
    /// service on this provider account. [`resolve_request`](Self::resolve_request) takes their references.
    ///
    /// Each time, up to 20 of them are compared with their records, and taken off where those say otherwise: a request is
    /// remembered for as long as its key, 24 h by default. A request whose process crashed is listed when it is next sent.
    ///
    /// # Errors
    /// When the store does not answer or holds something unreadable.
    pub fn indeterminate_requests(
        &self,
    ) -> impl Future<Output = Result<IndeterminateList, LedgerError>> + Send + use<> {
        let account = Arc::clone(&self.0.account);
        async move {
            Handle::try_current().map_err(|_| LedgerError::NoRuntime)?;
            Ok(IndeterminateList::of(requests(&account).list().await?))
        }
    }
}

/// Puts a request on the list, unless it is there.
pub(super) async fn list(settings: &LayerSettings, context: &RequestContext) -> Result<(), LedgerError> {
    let (digest, tenant, key_left) = (context.digest, context.tenant.as_ref().into(), None);
    let unlisted = Unlisted { digest, tenant, name: name(context), key_left };
    Index::new(&settings.account, &REQUESTS, settings.retention).add(unlisted).await
}

/// Method and path of a request, for who looks into what became of it.
fn name(context: &RequestContext) -> Box<str> {
    presentable_in_bytes(&format!("{} {}", context.method, context.uri.path()), LONGEST_NAME)
}
