//! Whose request it is.

use crate::accessors::partial_debug;
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::checked;

/// Whose idempotency keys a request's key is among: a tenant's, and within it a principal's.
///
/// Take both from what the request was authenticated with, never from what it says of itself. Two scopes never see each
/// other's answers, whatever their keys are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    tenant: Box<str>,
    principal: Box<str>,
}

impl Scope {
    /// Names a scope: the tenant (store, merchant), and who acts in it (a user, a client, a service).
    ///
    /// # Errors
    /// Names the field and the rule: each must be 1 to 255 bytes, without control characters or white space around it.
    pub fn new(tenant: impl AsRef<str>, principal: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let tenant = checked(Field::Tenant, tenant.as_ref())?.into();
        let principal = checked(Field::Principal, principal.as_ref())?.into();
        Ok(Self { tenant, principal })
    }

    pub(super) fn parts(&self) -> [&str; 2] {
        [&self.tenant, &self.principal]
    }
}

// Shows the tenant. A principal is often a person.
partial_debug!(Scope, self => tenant: self.tenant);
