//! Requests over HTTP: `fetch`, axios and their like.

use super::super::value::{Shape, Value};
use super::super::words::{has_word, last_part};

/// A request that is sent.
pub(super) struct Http {
    pub(super) url: String,
    pub(super) method: String,
    pub(super) headers: Value,
    pub(super) body: Value,
}

const CLIENTS: &[&str] = &["axios", "got", "ky", "superagent", "needle", "http", "https", "request", "reqwest"];

impl Http {
    /// The request, if the path is that of a client.
    pub(super) fn of(path: &str, given: &[Value]) -> Option<Self> {
        let last = last_part(path);
        let first = given.first()?;
        let by_name = matches!(path, "fetch" | "globalThis.fetch" | "window.fetch")
            || path.ends_with("#fetch")
            || matches!(last, "$fetch" | "ofetch")
            || matches!(
                path,
                "node-fetch#default"
                    | "cross-fetch#default"
                    | "isomorphic-fetch#default"
                    | "undici#request"
                    | "axios#default"
                    | "got#default"
                    | "ky#default"
                    | "axios"
            );
        if by_name {
            let (url, options) = match &first.shape {
                Shape::Object(_) => (first.field("url").unwrap_or_default(), first.clone()),
                _ => (first.clone(), given.get(1).cloned().unwrap_or_default()),
            };
            let method = options.field("method").and_then(|method| method.is_text().map(str::to_uppercase));
            let has_options = matches!(options.shape, Shape::Object(_)) || given.len() < 2;
            return Some(Self {
                url: base(path, &url),
                method: method.unwrap_or_else(|| if has_options { "GET" } else { "ANY" }.to_owned()),
                headers: headers_of(&options, given.len() > 1 || matches!(first.shape, Shape::Object(_))),
                body: options
                    .field("body")
                    .or_else(|| options.field("data"))
                    .or_else(|| options.field("json"))
                    .unwrap_or_default(),
            });
        }
        if last == "request" && has_word(path, &["http", "https"]) {
            // Node's own: what is sent is written later.
            let part = |name: &str| first.field(name).map(|value| value.shown_text().to_string());
            let host =
                part("hostname").or_else(|| part("host")).or_else(|| first.text.as_deref().map(str::to_owned))?;
            let options = if first.field("path").is_some() { first.clone() } else { given.get(1).cloned()? };
            let method = options.field("method").and_then(|method| method.is_text().map(str::to_uppercase));
            return Some(Self {
                url: format!("{host}{}", part("path").unwrap_or_default()),
                method: method.unwrap_or_else(|| "GET".to_owned()),
                headers: headers_of(&options, true),
                body: Value::default(),
            });
        }
        let verb = ["get", "post", "put", "patch", "delete"].into_iter().find(|verb| *verb == last)?;
        let root: String = path.rsplit_once('.').map(|(root, _)| root.to_owned()).unwrap_or_default();
        if !has_word(&root, CLIENTS) || root.contains('?') && !has_word(&root, &["axios", "got", "ky"]) {
            return None;
        }
        let (body, options) = match verb {
            "get" | "delete" => (Value::default(), given.get(1)),
            _ => (given.get(1).cloned().unwrap_or_default(), given.get(2)),
        };
        let has_options = options.is_some();
        let options = options.cloned().unwrap_or_default();
        let inner = options.field("json");
        Some(Self {
            url: base(&root, first),
            method: verb.to_uppercase(),
            headers: headers_of(&options, has_options),
            body: inner.unwrap_or(body),
        })
    }
}

/// The headers among the options; the options themselves, where it is not known what they hold.
fn headers_of(options: &Value, given: bool) -> Value {
    options.field("headers").unwrap_or_else(|| if given { options.clone() } else { Value::shaped(Shape::Nothing) })
}

/// The URL, after what the client begins it with.
fn base(path: &str, url: &Value) -> String {
    let prefix = path
        .split_once("create(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(base, _)| base.replace('_', "."))
        .unwrap_or_default();
    format!("{prefix}{}", url.shown_text())
}
