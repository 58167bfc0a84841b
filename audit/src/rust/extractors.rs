//! What a handler's parameter holds, by its type.

use crate::model::ParamKind;

/// Types that only hold another one.
const HOLDERS: &[&str] = &[
    "Arc",
    "Rc",
    "Box",
    "State",
    "Extension",
    "Option",
    "Result",
    "Data",
    "Mutex",
    "RwLock",
    "Valid",
    "WithRejection",
];

/// Words of types of who is signed in.
const SESSIONS: &[&str] = &[
    "session",
    "user",
    "auth",
    "claims",
    "caller",
    "principal",
    "identity",
    "shopper",
    "customer",
    "account",
    "member",
    "jwt",
];

/// What a parameter of this type holds, if it is a handler's.
pub(super) fn kind(of: &str) -> ParamKind {
    let optional = head(of) == "Option";
    let inner =
        if matches!(head(of), "Option" | "Result" | "Valid" | "WithRejection") { first_argument(of) } else { of };
    match head(inner) {
        "Json" | "Form" | "Multipart" | "ValidatedJson" => ParamKind::ParsedBody,
        "Bytes" | "Body" | "String" => ParamKind::RawBody,
        "Query" | "RawQuery" => ParamKind::Query,
        "Path" | "MatchedPath" => ParamKind::Path,
        "HeaderMap" | "CookieJar" | "PrivateCookieJar" | "SignedCookieJar" => ParamKind::Headers,
        "TypedHeader" => typed_header(first_argument(inner)),
        "Request" | "Parts" => ParamKind::Request,
        "State" => ParamKind::State,
        "Extension" => match own(first_argument(inner), optional) {
            ParamKind::Plain => ParamKind::State,
            known => known,
        },
        _ => own(inner, optional),
    }
}

/// An extractor of the service's own, by its name.
fn own(of: &str, optional: bool) -> ParamKind {
    let words = words(head(inner_type(of)));
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    if has(&["idempotency", "idempotent"]) {
        ParamKind::Key
    } else if has(&["tenant", "organization", "workspace"]) {
        ParamKind::Tenant
    } else if has(SESSIONS) {
        if optional { ParamKind::OptionalSession } else { ParamKind::Session }
    } else {
        ParamKind::Plain
    }
}

fn typed_header(of: &str) -> ParamKind {
    match own(of, false) {
        ParamKind::Key => ParamKind::Key,
        _ => ParamKind::Headers,
    }
}

/// The type without references and without what only holds it.
pub(super) fn inner_type(of: &str) -> &str {
    let mut of = bare(of);
    while HOLDERS.contains(&head(of)) {
        let inner = first_argument(of);
        if inner.is_empty() {
            break;
        }
        of = bare(inner);
    }
    head(of)
}

/// The last name of a type's path, without its arguments.
pub(super) fn head(of: &str) -> &str {
    let of = bare(of);
    let of = of.split('<').next().unwrap_or_default();
    of.rsplit("::").next().unwrap_or_default().trim()
}

/// The first argument of a type: `Json<Order>` has `Order`.
fn first_argument(of: &str) -> &str {
    let Some((_, inner)) = of.split_once('<') else { return "" };
    let mut depth = 0_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '<' | '(' | '[' => depth = depth.saturating_add(1),
            '>' | ',' if depth == 0 => return inner.get(..at).unwrap_or_default().trim(),
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    inner
}

fn bare(of: &str) -> &str {
    let mut of = of.trim();
    while let Some(rest) = of.strip_prefix('&') {
        of = rest.trim_start();
        if of.starts_with('\'') {
            of = of.split_once(' ').map_or(of, |(_, rest)| rest);
        }
    }
    of.trim_start_matches("mut ").trim_start_matches("dyn ").trim_start_matches("impl ").trim()
}

/// The words of a name in camel case, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        if c.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_by_their_types() {
        for (of, known) in [
            ("Json<Order>", ParamKind::ParsedBody),
            ("axum::Json<Order>", ParamKind::ParsedBody),
            ("Result<Json<Claim>, JsonRejection>", ParamKind::ParsedBody),
            ("Bytes", ParamKind::RawBody),
            ("State<Arc<Service>>", ParamKind::State),
            ("Extension<Caller>", ParamKind::Session),
            ("Extension<Arc<Pool>>", ParamKind::State),
            ("Option<AuthUser>", ParamKind::OptionalSession),
            ("CurrentUser", ParamKind::Session),
            ("TenantId", ParamKind::Tenant),
            ("TypedHeader<IdempotencyKey>", ParamKind::Key),
            ("HeaderMap", ParamKind::Headers),
            ("&Receipt", ParamKind::Plain),
        ] {
            assert_eq!(kind(of), known, "{of}");
        }
        assert_eq!(inner_type("State<Arc<Service>>"), "Service");
        assert_eq!(inner_type("&'a mut crate::orders::Orders"), "Orders");
    }
}
