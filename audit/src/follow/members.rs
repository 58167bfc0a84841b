//! What a value holds under a name.

use super::Follower;
use super::frame::Frame;
use super::origins::Origins;
use super::value::{Shape, Value};
use super::words::{has_word, plain_name};
use crate::model::{EventKind, Span};

/// Names of who the tenant is.
const TENANTS: &[&str] =
    &["tenant", "org", "organization", "organisation", "workspace", "merchant", "store", "shop", "team"];
/// Names of an idempotency key that is sent in a body.
const KEYS: &[&str] = &["idempotencykey", "idempotencetoken", "idempotencytoken", "idempotenttoken", "clientrequestid"];
/// Settings that say where the service runs.
const STAGES: &[&str] =
    &["nodeenv", "appenv", "vercelenv", "environment", "env", "stage", "prod", "dev", "mode", "isproduction"];
/// Names under which settings lie.
const SETTINGS: &[&str] = &["process.env", "import.meta.env", "Bun.env", "Deno.env"];

impl Follower<'_> {
    pub(crate) fn member(&mut self, value: &Value, name: &str, frame: &Frame, span: Span) -> Value {
        match &value.shape {
            Shape::Object(object) => {
                if let Some(found) = object.fields.borrow().get(name) {
                    return found.clone();
                }
                if let Some(class) = &object.class {
                    return self.method(class, value, name).unwrap_or_default();
                }
                let rest = object.rest.borrow().clone();
                rest.map_or_else(|| Value::of(value.from), |rest| self.member(&rest, name, frame, span))
            }
            Shape::Class(class) => self.static_member(class, name).unwrap_or_default(),
            Shape::Module(module) => match self.export(module, name) {
                Some(found) => found,
                // `module.exports = object` under `import object`.
                None if name != "default" => match self.export(module, "default") {
                    Some(default) if !matches!(default.shape, Shape::Module(_)) => {
                        self.member(&default, name, frame, span)
                    }
                    _ => Value::foreign(&format!("{}#{name}", module.facts.path)),
                },
                None => value.clone(),
            },
            Shape::Request => self.request_member(name, frame, span),
            Shape::Headers => self.header(&Value::literal(name), frame, span),
            Shape::Context => self.context_member(name, frame, span),
            Shape::Foreign(path) => self.foreign_member(value, &path.clone(), name, frame, span),
            Shape::List(_) if name == "length" => Value { shape: Shape::Unknown, ..value.whole() },
            Shape::List(_) => self.element(value),
            Shape::Response(_)
            | Shape::Function(_)
            | Shape::Router(_)
            | Shape::Wrapped(..)
            | Shape::Paths(_)
            | Shape::Next => Value::default(),
            Shape::Unknown | Shape::Text | Shape::Bool(_) | Shape::Nothing => self.part(value, name, frame, span),
        }
    }

    fn foreign_member(&mut self, value: &Value, path: &str, name: &str, frame: &Frame, span: Span) -> Value {
        if value.from.has(Origins::REQUEST) {
            let shape = Value::foreign(&format!("{path}.{name}")).shape;
            return Value { shape, ..self.part(value, name, frame, span) };
        }
        let mut found = Value { text: None, ..value.clone() };
        found.shape = Value::foreign(&format!("{path}.{name}")).shape;
        if SETTINGS.contains(&path) || (path.ends_with("env") || path.ends_with("createEnv()")) {
            found.from |= Origins::SETTING;
            if STAGES.contains(&plain_name(name).as_str()) {
                found.from |= Origins::STAGE;
            }
        }
        if value.from.has(Origins::SESSION) && has_word(name, TENANTS) {
            found.from |= Origins::TENANT;
        }
        if let Some(value) = self.assigned_to(path, name) {
            return value;
        }
        found
    }

    fn assigned_to(&self, path: &str, name: &str) -> Option<Value> {
        let assigned = self.run.assigned.get(path)?;
        assigned.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// A part of something whose shape is not known.
    fn part(&mut self, value: &Value, name: &str, frame: &Frame, span: Span) -> Value {
        if !value.from.has(Origins::REQUEST) {
            let shape = match value.from.without(Origins::LITERAL) {
                // Nothing is known of it but its name.
                Origins::NONE => Value::foreign(&format!("?.{name}")).shape,
                _ => Shape::Unknown,
            };
            return Value { shape, text: None, ..value.clone() };
        }
        let places = value.places.as_ref().map(|places| {
            std::rc::Rc::new(places.iter().map(|place| super::value::shortened(&format!("{place}.{name}"))).collect())
        });
        let mut part = Value { places, text: None, shape: Shape::Unknown, ..value.clone() };
        let plain = plain_name(name);
        if KEYS.contains(&plain.as_str()) || self.names.key.iter().any(|known| known == name) {
            part.from |= Origins::KEY;
            self.emit(EventKind::KeyRead, frame, span);
        }
        if plain.contains("signature") {
            part.from |= Origins::SIGNATURE;
        }
        part
    }

    /// A header by its name, which has to be a text that is known.
    pub(crate) fn header(&mut self, name: &Value, frame: &Frame, span: Span) -> Value {
        let Some(text) = name.is_text().map(str::to_lowercase) else {
            if !name.from.has(Origins::SETTING) {
                let name = "headers.get(…)".to_owned();
                self.emit(EventKind::Unfollowed { name, sees_request: true }, frame, span);
            }
            return Value::request("headers");
        };
        let mut value = Value::request(&format!("headers.{text}"));
        let plain = plain_name(&text);
        if plain.contains("idempoten") || self.names.key.iter().any(|known| known.to_lowercase() == text) {
            value.from |= Origins::KEY;
            self.emit(EventKind::KeyRead, frame, span);
        } else if is_signature(&text) {
            value.from |= Origins::SIGNATURE;
            self.run.signature_read = true;
        } else if matches!(text.as_str(), "authorization" | "cookie" | "x-api-key" | "x-access-token") {
            value.from |= Origins::CREDENTIAL;
        } else if has_word(&text, TENANTS) {
            value.from |= Origins::TENANT;
        }
        value
    }
}

/// Whether a header holds a webhook's signature, or what belongs to it.
pub(crate) fn is_signature(header: &str) -> bool {
    [
        "signature",
        "svix-",
        "hmac",
        "verif-hash",
        "paypal-transmission",
        "paypal-auth-algo",
        "paypal-cert",
        "x-callback-token",
    ]
    .iter()
    .any(|part| header.contains(part))
        || header.ends_with("-sig")
}
