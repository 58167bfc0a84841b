//! Answers.

use super::Follower;
use super::calls::Site;
use super::frame::Frame;
use super::origins::Origins;
use super::value::{Shape, Value};
use super::words::last_part;
use crate::model::{Answered, EventKind, Span};

/// Levels of an answer that are searched for a flag.
const DEEPEST_ANSWER: u32 = 5;
/// What a flag of success is called.
const FLAGS: &[&str] = &["success", "ok", "isSuccess", "succeeded", "successful"];

impl Follower<'_> {
    /// `NextResponse.json(…)`, `Response.json(…)`, `new Response(…)`, axum's `Json(…)` is a reader's own.
    pub(crate) fn answer_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        let is_class = path.ends_with("NextResponse") || path.ends_with("Response");
        let is_json = (path.ends_with("Response.json") && !path.contains("()"))
            || path == "json"
            || path == "@remix-run/node#json"
            || path == "@sveltejs/kit#json";
        let made = is_class && site.constructs;
        if !(is_json || made) {
            if matches!(path, "Response.redirect" | "Response.error")
                || path.ends_with("NextResponse.redirect")
                || path.ends_with("NextResponse.next")
            {
                return Some(Value::foreign("response"));
            }
            return None;
        }
        let body = given.first().cloned().unwrap_or_default();
        let status = given.get(1).map(status_of);
        let status = status.unwrap_or(Some(200));
        let json = is_json || (last.ends_with("Response") && matches!(body.shape, Shape::Object(_) | Shape::List(_)));
        self.answered(&body, status, json, site.frame, site.span);
        Some(Value::foreign("response"))
    }

    /// Express, Fastify and the pages router: `res.status(400).json(…)`.
    pub(crate) fn response_call(&mut self, status: Option<u16>, name: &str, given: &[Value], site: &Site<'_>) -> Value {
        let first = given.first().cloned().unwrap_or_default();
        match name {
            "status" | "code" | "writeHead" => {
                // Zero stands for a status that is not known.
                Value::shaped(Shape::Response(Some(number(&first).unwrap_or(0))))
            }
            "json" | "send" | "jsonp" | "end" => {
                let json = name.starts_with("json") || matches!(first.shape, Shape::Object(_) | Shape::List(_));
                let status = match status {
                    Some(0) => None,
                    Some(status) => Some(status),
                    None => Some(200),
                };
                self.answered(&first, status, json, site.frame, site.span);
                self.answer_by(name, &first, site);
                Value::shaped(Shape::Response(status))
            }
            "on" | "once" => {
                if let Some(function) = given.get(1).filter(|function| function.is_function()) {
                    self.run.answered_by.push(("finish".to_owned(), function.clone()));
                }
                Value::shaped(Shape::Response(status))
            }
            "sendStatus" => {
                self.answered(&Value::default(), number(&first), false, site.frame, site.span);
                Value::shaped(Shape::Response(None))
            }
            _ => Value::shaped(Shape::Response(status)),
        }
    }

    /// Runs what stands in the place of the response's methods: `json` sends, and what sends ends.
    fn answer_by(&mut self, name: &str, body: &Value, site: &Site<'_>) {
        // What it calls is the method that it replaced.
        let replaced = std::mem::take(&mut self.run.answered_by);
        let steps = ["json", "send", "end", "finish"];
        let first = steps.iter().position(|step| *step == name).unwrap_or_default();
        for (step, function) in &replaced {
            if steps.iter().skip(first).any(|known| known == step) {
                self.apply(function, vec![body.clone()], site.frame, site.span);
            }
        }
        self.run.answered_by.extend(replaced);
    }

    /// Hono: `c.json(body, status)`.
    pub(crate) fn context_answer(&mut self, name: &str, given: &[Value], site: &Site<'_>) -> Value {
        let body = given.first().cloned().unwrap_or_default();
        let status = match given.get(1) {
            Some(status) => status_of(status),
            None => Some(200),
        };
        self.answered(&body, status, name == "json", site.frame, site.span);
        Value::foreign("response")
    }

    fn answered(&mut self, body: &Value, status: Option<u16>, json: bool, frame: &Frame, span: Span) {
        let mut answer =
            Answered { status, json, replayed: body.whole().from.has(Origins::RECORD), ..Answered::default() };
        if let Shape::Object(object) = &body.shape {
            answer.root = object.fields.borrow().keys().cloned().collect();
            answer.open = object.rest.borrow().is_some() || (object.class.is_some() && object.of.is_none());
            if let Some(error) = object.fields.borrow().get("error") {
                answer.error_object = match error.shape {
                    Shape::Object(_) => Some(true),
                    Shape::Text | Shape::Bool(_) | Shape::List(_) => Some(false),
                    Shape::Nothing => None,
                    _ if error.text.is_some() => Some(false),
                    _ => None,
                };
                answer.error = !matches!(error.shape, Shape::Nothing | Shape::Bool(false));
            }
        } else {
            answer.open = true;
        }
        answer.success = flag_of(body, DEEPEST_ANSWER);
        self.emit(EventKind::Answer(answer), frame, span);
    }
}

/// The status in a response's options: `None` if it is not known.
fn status_of(options: &Value) -> Option<u16> {
    match &options.shape {
        Shape::Object(object) => match options.field("status") {
            Some(status) => number(&status),
            None if object.rest.borrow().is_some() => None,
            None => Some(200),
        },
        Shape::Text => number(options),
        _ => None,
    }
}

/// The name of a flag at any depth of an answer.
fn flag_of(value: &Value, levels: u32) -> Option<String> {
    let levels = levels.checked_sub(1)?;
    match &value.shape {
        Shape::Object(object) if object.class.is_none() || object.of.is_some() => {
            object.fields.borrow().iter().find_map(|(name, value)| {
                if FLAGS.contains(&name.as_str()) { Some(name.clone()) } else { flag_of(value, levels) }
            })
        }
        Shape::List(elements) => elements.borrow().iter().find_map(|value| flag_of(value, levels)),
        _ => None,
    }
}

/// A status as a number.
pub(crate) fn number(value: &Value) -> Option<u16> {
    if let Some(number) = value.is_text().and_then(|text| text.parse().ok()) {
        return Some(number);
    }
    // `HttpStatus.BAD_REQUEST`, `StatusCode::BAD_REQUEST`, `StatusCodes.BAD_REQUEST`.
    let name = value.path()?.rsplit('.').next()?.to_uppercase();
    Some(match name.as_str() {
        "OK" => 200,
        "CREATED" => 201,
        "ACCEPTED" => 202,
        "NO_CONTENT" => 204,
        "BAD_REQUEST" => 400,
        "UNAUTHORIZED" => 401,
        "PAYMENT_REQUIRED" => 402,
        "FORBIDDEN" => 403,
        "NOT_FOUND" => 404,
        "CONFLICT" => 409,
        "UNPROCESSABLE_ENTITY" => 422,
        "TOO_MANY_REQUESTS" => 429,
        "INTERNAL_SERVER_ERROR" => 500,
        "BAD_GATEWAY" => 502,
        _ => return None,
    })
}
