//! Calls of frameworks that hand over parts of the request, the service's settings, or a handler as it is.

use std::rc::Rc;

use super::calls::Site;
use super::functions::sees_request;
use super::origins::Origins;
use super::value::{Shape, Value, texts, total};
use super::words::{has_word, last_part, plain_name};
use super::{BodyState, Follower};
use crate::model::EventKind;

impl Follower<'_> {
    /// Next.js, Express, Hono: what gives parts of the request.
    pub(crate) fn framework_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        if matches!(path, "next/headers#headers" | "headers") {
            return Some(Value::shaped(Shape::Headers));
        }
        if matches!(path, "next/headers#cookies" | "cookies") || (last == "parseCookies" || last == "getCookie") {
            return Some(Value { from: Origins::REQUEST.and(Origins::CREDENTIAL), ..Value::request("cookies") });
        }
        let takes_request = given.first().is_some_and(|first| {
            matches!(first.shape, Shape::Request | Shape::Context)
                || first.path().is_some_and(|path| path.contains("request"))
                || (first.from.has(Origins::REQUEST))
        });
        if takes_request
            && matches!(
                plain_name(last).as_str(),
                "buffer" | "getrawbody" | "rawbody" | "text" | "readrawbody" | "getstream" | "default" | "arraybuffer"
            )
            && has_word(path, &["micro", "raw", "stream", "consumers", "buffer", "body"])
        {
            let parsed = self.run.body == BodyState::Parsed;
            return Some(if parsed { Value::parsed("body") } else { Value::raw("body") });
        }
        if takes_request && matches!(last, "readBody" | "json") && has_word(path, &["micro", "h3", "body"]) {
            return Some(Value::parsed("body"));
        }
        if takes_request && let Some(value) = self.event_call(last, given, site) {
            return Some(value);
        }
        if path.ends_with("json()") || path.ends_with("raw()") || path.ends_with("text()") {
            if given.iter().any(sees_request) && self.depth() == 0 && self.run.body == BodyState::Unknown {
                self.run.body = if path.ends_with("json()") { BodyState::Parsed } else { BodyState::Raw };
            }
            return Some(Value::default());
        }
        if matches!(
            last,
            "after"
                | "waitUntil"
                | "startSpan"
                | "startActiveSpan"
                | "withScope"
                | "unstable_after"
                | "runWithContext"
                | "trace"
                | "nextTick"
        ) {
            let yielded = self.run_given(given, &[Value::foreign("span")], site);
            return Some(yielded.unwrap_or_default());
        }
        if matches!(
            path,
            "hono/vercel#handle"
                | "@hono/node-server#serve"
                | "hono/netlify#handle"
                | "next/cache#unstable_cache"
                | "react#cache"
        ) {
            return Some(given.first().cloned().unwrap_or_default());
        }
        if matches!(last, "useRuntimeConfig" | "useEnv" | "getEnv") {
            return Some(Value { from: Origins::SETTING, ..Value::foreign("env") });
        }
        if last == "createRouteMatcher" {
            return Some(Value::shaped(Shape::Paths(Rc::new(texts(given.first())))));
        }
        if path.contains("RequestStrategy") {
            return Some(total(given));
        }
        if path.to_lowercase().contains("idempot") && !self.run.loading {
            self.emit(EventKind::Guarded, site.frame, site.span);
        }
        None
    }

    /// Nuxt's functions that are given the event.
    fn event_call(&mut self, last: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let name = given.get(1).cloned().unwrap_or_default();
        match last {
            "readValidatedBody" | "readFormData" | "readMultipartFormData" => Some(Value::parsed("body")),
            "getQuery" | "getValidatedQuery" | "getRequestURL" => Some(Value::request("query")),
            "getRouterParam" | "getRouterParams" | "getValidatedRouterParams" => Some(Value::request("params")),
            "getHeader" | "getRequestHeader" => Some(self.header(&name, site.frame, site.span)),
            "getHeaders" | "getRequestHeaders" => Some(Value::shaped(Shape::Headers)),
            "getMethod" => Some(self.request_member("method", site.frame, site.span)),
            "setResponseStatus" | "setHeader" | "setResponseHeader" | "setCookie" | "deleteCookie" => {
                Some(Value::default())
            }
            _ => None,
        }
    }
}
