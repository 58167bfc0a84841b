//! The request, of whatever framework.

use super::frame::Frame;
use super::origins::Origins;
use super::value::{Shape, Value};
use super::words::{has_word, plain_name};
use super::{BodyState, Follower};
use crate::model::{EventKind, Span};

/// Names under which middleware leaves who is signed in.
const SESSIONS: &[&str] =
    &["user", "session", "auth", "userid", "currentuser", "userdata", "account", "customer", "admin"];
/// Names under which middleware leaves the tenant.
const TENANT_FIELDS: &[&str] = &["tenant", "tenantid", "org", "orgid", "organization", "organizationid", "workspaceid"];

impl Follower<'_> {
    pub(crate) fn request_member(&mut self, name: &str, frame: &Frame, span: Span) -> Value {
        if let Some(value) = self.run.request_fields.get(name) {
            return value.clone();
        }
        match name {
            "headers" => Value::shaped(Shape::Headers),
            "body" => self.body(),
            "rawBody" | "bodyRaw" => Value::raw("body"),
            "nextUrl" if self.run.path.is_some() => self.settled_url(),
            "method" | "httpMethod" => self.request_method(),
            "raw" | "req" | "request" | "nodeReq" => Value::shaped(Shape::Request),
            "res" => Value::shaped(Shape::Response(None)),
            "cookies" | "signedCookies" => {
                Value { from: Origins::REQUEST.and(Origins::CREDENTIAL), ..Value::request("cookies") }
            }
            _ => {
                let plain = plain_name(name);
                if SESSIONS.contains(&plain.as_str()) {
                    self.emit(EventKind::Session, frame, span);
                    return Value { from: Origins::SESSION, ..Value::foreign(&format!("request.{name}")) };
                }
                if TENANT_FIELDS.contains(&plain.as_str()) {
                    return Value { from: Origins::TENANT, ..Value::foreign(&format!("request.{name}")) };
                }
                Value::request(name)
            }
        }
    }

    fn body(&self) -> Value {
        match self.run.body {
            BodyState::Unknown => Value::request("body"),
            BodyState::Raw => Value::raw("body"),
            BodyState::Parsed => Value::parsed("body"),
        }
    }

    fn request_method(&self) -> Value {
        match &self.run.method {
            Some(method) => Value { from: Origins::METHOD, ..Value::literal(method) },
            None => Value::of(Origins::METHOD),
        }
    }

    /// A method of the request.
    pub(crate) fn request_call(&mut self, name: &str, given: &[Value], frame: &Frame, span: Span) -> Value {
        let first = given.first().cloned().unwrap_or_default();
        let part = |place: &str| match first.is_text() {
            Some(name) => Value::request(&format!("{place}.{name}")),
            None => Value::request(place),
        };
        match name {
            "json" => Value::parsed("body"),
            "formData" | "parseBody" | "form" => Value::parsed("form"),
            "text" | "arrayBuffer" | "blob" | "bytes" | "buffer" => Value::raw("body"),
            "header" | "get" if given.is_empty() => Value::shaped(Shape::Headers),
            "header" | "get" | "getHeader" => self.header(&first, frame, span),
            "param" => part("params"),
            "query" | "queries" => part("query"),
            "valid" => match first.is_text() {
                Some("header") => Value::shaped(Shape::Headers),
                Some("query") => Value::request("query"),
                Some("param") => Value::request("params"),
                _ => Value::parsed("body"),
            },
            "clone" | "switchToHttp" | "getRequest" => Value::shaped(Shape::Request),
            "isAuthenticated" => {
                self.emit(EventKind::Session, frame, span);
                Value::of(Origins::SESSION)
            }
            "file" | "files" | "saveRequestFiles" => Value::request("files"),
            _ => Value::request(name),
        }
    }

    pub(crate) fn context_member(&mut self, name: &str, frame: &Frame, span: Span) -> Value {
        match name {
            "req" | "request" => Value::shaped(Shape::Request),
            "res" | "response" => Value::shaped(Shape::Response(None)),
            "env" => Value { from: Origins::SETTING, ..Value::foreign("env") },
            "var" | "state" | "locals" | "context" | "node" => Value::shaped(Shape::Context),
            "platform" | "cloudflare" => Value { from: Origins::SETTING, ..Value::foreign(name) },
            _ => self.request_member(name, frame, span),
        }
    }

    /// A method of Hono's or Koa's context; `None` if it is an answer.
    pub(crate) fn context_call(&mut self, name: &str, given: &[Value], frame: &Frame, span: Span) -> Option<Value> {
        let first = given.first().cloned().unwrap_or_default();
        match name {
            "get" => {
                let text = first.is_text().unwrap_or_default().to_owned();
                // Koa's is a header, Hono's what middleware left.
                if text.contains('-') || text.eq_ignore_ascii_case("authorization") {
                    return Some(self.header(&first, frame, span));
                }
                if has_word(&text, &["db", "prisma", "stripe", "logger", "redis", "supabase"]) {
                    return Some(Value::foreign(&format!("?{text}")));
                }
                Some(self.request_member(&text, frame, span))
            }
            "set" => {
                if let (Some(name), Some(value)) = (first.is_text(), given.get(1)) {
                    self.run.request_fields.insert(name.to_owned(), value.clone());
                }
                Some(Value::default())
            }
            "json" | "text" | "html" | "body" | "newResponse" | "notFound" | "redirect" => None,
            _ => Some(Value::default()),
        }
    }
}
