//! What a call that was not followed might be, by its name and by what it is given.

use super::Case;
use crate::follow::has_word;
use crate::model::{Event, EventKind};

/// Words of calls that are something else than what is looked for, though they are given the request.
const OTHER: &[&str] = &[
    "auth",
    "session",
    "user",
    "token",
    "cors",
    "rate",
    "limit",
    "limiter",
    "log",
    "csrf",
    "helmet",
    "cookie",
    "parse",
    "parser",
    "upload",
    "multer",
    "buffer",
    "raw",
    "body",
    "locale",
    "ip",
    "geo",
    "connect",
    "error",
    "schema",
    "clerk",
    "jwt",
    "passport",
    "role",
    "admin",
    "permission",
    "validate",
    "validator",
    "validation",
    "protect",
    "login",
    "json",
    "headers",
    "response",
    "header",
    "protected",
    "authorize",
    "require",
    "arcjet",
    "trpc",
    "fetch",
];
const KEY: &[&str] =
    &["idempotent", "idempotency", "idempotence", "dedupe", "dedup", "once", "replay", "duplicate", "lock"];
const SESSION: &[&str] = &[
    "auth",
    "session",
    "user",
    "guard",
    "protect",
    "require",
    "verify",
    "check",
    "ensure",
    "login",
    "token",
    "permission",
    "protected",
    "authorize",
    "secure",
];
const VERIFY: &[&str] = &[
    "verify",
    "signature",
    "webhook",
    "construct",
    "validate",
    "hmac",
    "authentic",
    "guard",
    "check",
    "auth",
    "secret",
    "unwrap",
    "signed",
];
const CLAIM: &[&str] = &[
    "claim",
    "lock",
    "once",
    "dedupe",
    "idempotent",
    "idempotency",
    "processed",
    "event",
    "duplicate",
    "handled",
    "seen",
    "mark",
];
const PROOF: &[&str] = &[
    "verify",
    "confirm",
    "validate",
    "capture",
    "retrieve",
    "payment",
    "paid",
    "check",
    "stripe",
    "paypal",
    "razorpay",
    "signature",
    "fetch",
    "axios",
    "http",
];
const STAFF: &[&str] =
    &["admin", "staff", "role", "permission", "can", "ability", "policy", "allow", "restrict", "access", "cron"];
const WRITE: &[&str] = &[
    "create", "insert", "save", "update", "delete", "place", "submit", "process", "checkout", "charge", "order",
    "book", "send", "add", "remove", "register", "enroll", "purchase", "pay", "refund", "capture", "post", "fulfill",
    "ship", "write", "store", "put", "fetch", "execute", "mutate", "mutation", "reserve", "redeem",
];

impl Case<'_> {
    fn unfollowed(events: &[Event], might: impl Fn(&str, bool) -> bool) -> Option<String> {
        events.iter().find_map(|event| match &event.kind {
            EventKind::Unfollowed { name, sees_request } if might(name, *sees_request) => Some(name.clone()),
            _ => None,
        })
    }

    /// A call that might read or claim the idempotency key.
    pub(crate) fn maybe_key(&self) -> Option<String> {
        Self::unfollowed(self.events, |name, sees_request| {
            has_word(name, KEY) || name == "headers.get(…)" || (sees_request && !has_word(name, OTHER))
        })
    }

    /// A call before an event that might establish who asks.
    pub(crate) fn maybe_session(&self, event: &Event) -> Option<String> {
        Self::unfollowed(self.earlier(event), |name, sees_request| {
            has_word(name, SESSION)
                || (sees_request && !has_word(name, &["cors", "rate", "limit", "log", "parse", "body"]))
        })
    }

    /// A call before an event that might verify the signature.
    pub(crate) fn maybe_verification(&self, event: &Event) -> Option<String> {
        Self::unfollowed(self.earlier(event), |name, sees_request| {
            has_word(name, VERIFY)
                || (sees_request && !has_word(name, &["cors", "rate", "limit", "log", "json", "headers"]))
        })
    }

    /// A call before an event that might claim the event's id.
    pub(crate) fn maybe_claim(&self, event: &Event) -> Option<String> {
        Self::unfollowed(self.earlier(event), |name, _| has_word(name, CLAIM))
    }

    /// A call before an event that might ask the provider.
    pub(crate) fn maybe_proof(&self, event: &Event) -> Option<String> {
        Self::unfollowed(self.earlier(event), |name, _| has_word(name, PROOF))
    }

    /// A call before an event that might refuse all who are no staff: one that establishes who asks may do that, too.
    pub(crate) fn maybe_staff(&self, event: &Event) -> Option<String> {
        Self::unfollowed(self.earlier(event), |name, _| has_word(name, STAFF) || has_word(name, SESSION))
    }

    /// A call that might write.
    pub(crate) fn maybe_write(&self) -> Option<&Event> {
        self.events.iter().find(|event| match &event.kind {
            EventKind::Unfollowed { name, .. } => {
                let last = name.rsplit('.').next().unwrap_or_default();
                has_word(last, WRITE)
                    && !has_word(
                        last,
                        &["client", "token", "cookie", "header", "session", "error", "url", "link", "state"],
                    )
            }
            _ => false,
        })
    }
}
