//! Who asks.

use super::Follower;
use super::calls::Site;
use super::compare::is_staff;
use super::frame::Frame;
use super::origins::Origins;
use super::value::Value;
use super::words::{has_word, last_part, plain_name};
use crate::model::{EventKind, Span};

/// Functions that establish who asks, without separators and in lower case.
const SESSIONS: &[&str] = &[
    "getserversession",
    "unstablegetserversession",
    "auth",
    "getauth",
    "currentuser",
    "gettoken",
    "getsession",
    "getuser",
    "requireauth",
    "requireuser",
    "requiresession",
    "requireadmin",
    "validaterequest",
    "validatesession",
    "verifytoken",
    "verifyjwt",
    "jwtverify",
    "verifyidtoken",
    "getironsession",
    "getcurrentuser",
    "getauthuser",
    "getkindeserversession",
    "authenticate",
    "ensureauthenticated",
    "checkauth",
    "getuserfromrequest",
    "verifysession",
    "verifyaccesstoken",
    "getclaims",
    "getserverauthsession",
    "isauthenticated",
    "withauth",
    "protect",
    "expressjwt",
    "clerkexpressrequireauth",
    "getuserid",
    "clerkmiddleware",
    "withapiauthrequired",
    "authmiddleware",
    "verifyauth",
    "authguard",
    "getsessionuser",
    "verifyuser",
    "getusersession",
    "fetchuser",
    "requiredauth",
    "isauth",
    "authenticateuser",
    "authenticatetoken",
    "usersession",
    "withsession",
    "getloggedinuser",
    "authorize",
    "passportauthenticate",
    "requirelogin",
    "requiresignin",
    "islogin",
    "jwtauth",
    "authuser",
    "requireusersession",
    "serversupabaseuser",
    "safegetsession",
];

/// Whether a function of this name establishes who asks.
pub(crate) fn is_session_name(name: &str) -> bool {
    let last = last_part(name);
    SESSIONS.contains(&plain_name(last).as_str())
}

impl Follower<'_> {
    pub(crate) fn session_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        let lower = path.to_lowercase();
        let jwt = matches!(last, "verify" | "decode")
            && (has_word(path, &["jwt", "jsonwebtoken", "jose", "paseto"]) || lower.contains("jwt"));
        let default = last == "default" && has_word(path, &["auth"]);
        // A package's `protect` is nothing that is known, unless it is a package for that.
        let known = is_session_name(last) && (last != "protect" || has_word(path, &["clerk", "auth0", "arcjet"]));
        let known = known && (last != "getToken" || has_word(path, &["auth", "jwt"]));
        if !(known || jwt || default) || self.is_elsewhere(path) {
            return None;
        }
        if let Some(wrapped) = Value::wrapping(&site.name, given) {
            return Some(wrapped);
        }
        self.emit(EventKind::Session, site.frame, site.span);
        let names_role = |value: &Value| {
            value.is_text().is_some_and(is_staff)
                || ["role", "roles", "permission", "permissions"].iter().any(|name| value.field(name).is_some())
        };
        if is_staff(last) || given.iter().any(names_role) {
            self.emit(EventKind::Staff, site.frame, site.span);
        }
        Some(Value { from: Origins::SESSION, ..Value::foreign(&format!("{path}()")) })
    }

    /// A name that is too plain to count from any package: an unknown package's `auth` may be anything.
    fn is_elsewhere(&self, path: &str) -> bool {
        let Some((package, _)) = path.split_once('#') else { return false };
        !has_word(
            package,
            &[
                "auth",
                "clerk",
                "next",
                "supabase",
                "jwt",
                "jsonwebtoken",
                "jose",
                "passport",
                "iron",
                "lucia",
                "kinde",
                "firebase",
                "session",
                "express",
                "workos",
                "stack",
                "better",
                "auth0",
                "nextauth",
                "descope",
                "hono",
                "stytch",
                "logto",
                "privy",
            ],
        )
    }

    /// A helper of the tree that the configuration names, or whose name is a session's and which looked at credentials.
    pub(crate) fn named_helper(&mut self, site: &Site<'_>, mut yielded: Value) -> Value {
        let last = site.name.rsplit('.').next().unwrap_or_default().to_owned();
        let whole = yielded.whole().from;
        let looked = Origins::CREDENTIAL.and(Origins::SESSION).and(Origins::STORED).and(Origins::UNKNOWN);
        if is_configured(&self.names.session, &site.name) || (is_session_name(&last) && whole.has(looked)) {
            self.emit(EventKind::Session, site.frame, site.span);
            yielded.from |= Origins::SESSION;
        }
        if is_configured(&self.names.tenant, &site.name) {
            yielded.from |= Origins::TENANT;
        }
        if is_configured(&self.names.key, &site.name) {
            self.emit(EventKind::KeyRead, site.frame, site.span);
            yielded.from |= Origins::KEY;
        }
        yielded
    }

    /// A helper from outside that the configuration names.
    pub(crate) fn configured(&mut self, site: &Site<'_>, given: &[Value]) -> Option<Value> {
        let known = [&self.names.session, &self.names.tenant, &self.names.key]
            .iter()
            .any(|names| is_configured(names, &site.name));
        if !known {
            return None;
        }
        let yielded = self.named_helper(site, Value::default());
        Some(Value::wrapping(&site.name, given).unwrap_or(yielded))
    }

    /// What is known of a wrapper by its name, when what it wraps is called.
    pub(crate) fn wrapped_by(&mut self, name: &str, frame: &Frame, span: Span) {
        if is_staff(last_part(name)) {
            self.emit(EventKind::Staff, frame, span);
        }
        if is_session_name(name) || is_configured(&self.names.session, name) {
            self.emit(EventKind::Session, frame, span);
        } else if is_configured(&self.names.key, name) {
            self.emit(EventKind::KeyRead, frame, span);
        } else if name.contains("verify signature") {
            self.emit(EventKind::Verify { everywhere: true, parsed: false }, frame, span);
        } else if name.to_lowercase().contains("idempot") || name.to_lowercase().contains("payproof") {
            self.emit(EventKind::Guarded, frame, span);
        } else if !is_plain_wrapper(name) {
            self.emit(EventKind::Unfollowed { name: name.to_owned(), sees_request: true }, frame, span);
        }
    }
}

/// Wrappers that catch errors, log, or count.
fn is_plain_wrapper(name: &str) -> bool {
    let plain = plain_name(name.rsplit('.').next().unwrap_or_default());
    [
        "asynchandler",
        "expressasynchandler",
        "catchasync",
        "wrapasync",
        "asyncwrapper",
        "catchasyncerrors",
        "trycatch",
        "asyncerror",
        "usecallback",
        "cache",
        "memo",
        "withsentry",
        "withlogger",
        "withcors",
        "cors",
        "withratelimit",
        "asyncmiddleware",
        "wraproutehandlerwithsentry",
        "wrapapihandlerwithsentry",
        "catcherrors",
        "expressasyncwrapper",
        "defineeventhandler",
        "eventhandler",
        "definecachedeventhandler",
    ]
    .contains(&plain.as_str())
}

pub(crate) fn is_configured(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name || name.rsplit('.').next() == Some(known.as_str()))
}
