//! Calls: followed into the tree, known by name, or told as not followed.

use std::rc::Rc;

use super::Follower;
use super::frame::Frame;
use super::functions::sees_request;
use super::origins::Origins;
use super::value::{Shape, Value};
use super::words::last_part;
use super::written::written;
use crate::model::{CallExpr, EventKind, Expr, Span};

/// Where a call stands, and how it is written.
pub(crate) struct Site<'c> {
    pub(crate) frame: &'c Frame,
    /// Where findings point to.
    pub(crate) span: Span,
    /// `stripe.paymentIntents.create`.
    pub(crate) name: String,
    pub(crate) constructs: bool,
    /// Some arguments are not known one by one.
    pub(crate) open: bool,
    /// What it yields is called at once, so that functions it is given run then.
    pub(crate) wraps: bool,
    /// How each argument is written: `orders`.
    pub(crate) written: Vec<String>,
}

impl Follower<'_> {
    pub(crate) fn call(&mut self, call: &CallExpr, frame: &Frame) -> Value {
        self.call_here(call, frame, false)
    }

    fn call_here(&mut self, call: &CallExpr, frame: &Frame, wraps: bool) -> Value {
        let mut site = Site {
            frame,
            span: call.at,
            name: written(&call.callee),
            constructs: call.constructs,
            open: false,
            wraps,
            written: call.arguments.iter().map(written_argument).collect(),
        };
        match unwrapped(&call.callee) {
            Expr::Member(object, name, _) => {
                let object = self.expr(object, frame);
                let (given, open) = self.arguments(&call.arguments, frame);
                site.open = open;
                self.call_method(&object, name, given, &site)
            }
            callee => {
                let function = match callee {
                    Expr::Call(inner) => self.call_here(inner, frame, true),
                    callee => self.expr(callee, frame),
                };
                let (given, open) = self.arguments(&call.arguments, frame);
                site.open = open;
                self.call_value(&function, given, &site)
            }
        }
    }

    fn call_value(&mut self, function: &Value, given: Vec<Value>, site: &Site<'_>) -> Value {
        match &function.shape {
            Shape::Function(_) => {
                let yielded = self.apply(function, given, site.frame, site.span);
                self.named_helper(site, yielded)
            }
            Shape::Class(_) | Shape::Wrapped(..) | Shape::Next => self.apply(function, given, site.frame, site.span),
            Shape::Module(module) => match self.export(module, "default") {
                Some(default) if !matches!(default.shape, Shape::Module(_)) => self.call_value(&default, given, site),
                _ => self.unfollowed(&Value::foreign(&site.name), &given, site),
            },
            Shape::Foreign(path) => self.foreign_call(path, function, &given, site),
            Shape::Paths(patterns) => self.matched_path(patterns),
            Shape::Router(_) | Shape::Response(_) => function.clone(),
            Shape::Object(_) if function.from == Origins::NONE => Value::default(),
            _ => {
                let path = format!("?{}", site.name);
                let shaped = Value { shape: Value::foreign(&path).shape, ..function.clone() };
                self.foreign_call(&path, &shaped, &given, site)
            }
        }
    }

    pub(crate) fn call_method(&mut self, object: &Value, name: &str, given: Vec<Value>, site: &Site<'_>) -> Value {
        match &object.shape {
            Shape::Function(_) if matches!(name, "call" | "bind") => {
                let given = given.into_iter().skip(1).collect();
                if name == "bind" {
                    return object.clone();
                }
                return self.apply(object, given, site.frame, site.span);
            }
            Shape::Request => return self.request_call(name, &given, site.frame, site.span),
            Shape::Headers if matches!(name, "get" | "getAll") => {
                return self.header(&given.first().cloned().unwrap_or_default(), site.frame, site.span);
            }
            Shape::Headers if matches!(name, "has" | "entries" | "forEach" | "keys" | "values") => {
                return Value::request("headers");
            }
            Shape::Response(status) => return self.response_call(*status, name, &given, site),
            Shape::Context => {
                if let Some(value) = self.context_call(name, &given, site.frame, site.span) {
                    return value;
                }
                return self.context_answer(name, &given, site);
            }
            Shape::Router(router) => return self.router_call(*router, name, &given, site),
            // axum's `next.run(request)`.
            Shape::Next => return self.apply(object, given, site.frame, site.span),
            _ => {}
        }
        if let Some(value) = self.list_call(object, name, &given, site) {
            return value;
        }
        if let Some(value) = self.request_part(object, name, &given, site) {
            return value;
        }
        if let Some(value) = self.active_model_call(object, name, site) {
            return value;
        }
        let function = match &object.shape {
            Shape::Object(_) => {
                // A field that is not there is not asked of the class above for data's sake.
                object.field(name).unwrap_or_else(|| self.member(object, name, site.frame, site.span))
            }
            _ => self.member(object, name, site.frame, site.span),
        };
        match (&function.shape, &object.shape) {
            (Shape::Function(closure), Shape::Object(_)) => {
                let closure = Rc::clone(closure);
                let yielded = self.enter(&closure, given, Some(object.clone()), site.frame, site.span);
                self.named_helper(site, yielded)
            }
            (Shape::Unknown | Shape::Nothing, Shape::Unknown | Shape::Nothing | Shape::Text | Shape::Object(_)) => {
                let path = format!("?{}", site.name);
                let shaped = Value { shape: Value::foreign(&path).shape, ..object.whole() };
                self.foreign_call(&path, &shaped, &given, site)
            }
            _ => self.call_value(&function, given, site),
        }
    }

    /// `searchParams.get('amount')`, `formData.get('amount')`, `cookies.get('session')`.
    fn request_part(&mut self, object: &Value, name: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        if !object.from.has(Origins::REQUEST) || matches!(object.shape, Shape::Object(_)) {
            return None;
        }
        match (name, given.first().and_then(Value::is_text)) {
            ("get" | "getAll", Some(part)) => {
                let data = Value { shape: Shape::Unknown, ..object.clone() };
                Some(self.member(&data, part, site.frame, site.span))
            }
            ("get" | "getAll" | "entries" | "toJSON" | "keys" | "values" | "text" | "json" | "arrayBuffer", _) => {
                Some(Value { shape: Shape::Unknown, ..object.clone() })
            }
            _ => None,
        }
    }

    /// A call that leaves the tree, by the path that leads to it.
    fn foreign_call(&mut self, path: &str, function: &Value, given: &[Value], site: &Site<'_>) -> Value {
        self.configured(site, given)
            .or_else(|| self.resolved(path, given, site))
            .or_else(|| self.payproof_call(path, given, site))
            .or_else(|| self.security_call(path, function, given, site))
            .or_else(|| self.session_call(path, given, site))
            .or_else(|| self.router_made(path, given, site))
            .or_else(|| self.provider_call(path, function, given, site))
            .or_else(|| self.storage_call(path, function, given, site))
            .or_else(|| self.mail_call(path, given, site))
            .or_else(|| self.answer_call(path, given, site))
            .or_else(|| self.harmless_call(path, function, given, site))
            .unwrap_or_else(|| self.unfollowed(function, given, site))
    }

    /// `container.get(OrderController)`: what a container makes of a class of the tree.
    fn resolved(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let Some(Value { shape: Shape::Class(class), .. }) = given.first() else { return None };
        let takes =
            matches!(last_part(path), "get" | "resolve" | "resolveAsync" | "getAsync" | "inject" | "useInstance");
        let class = Rc::clone(class);
        takes.then(|| self.construct(&class, Vec::new(), site.frame, site.span))
    }

    /// A call that is not known. Functions it is given may run, or are wrapped.
    fn unfollowed(&mut self, function: &Value, given: &[Value], site: &Site<'_>) -> Value {
        let sum = given
            .iter()
            .filter(|given| !given.is_function())
            .fold(Value::default(), |sum, given| sum.tainted(&given.whole()));
        let mut yielded = Value { from: sum.from | function.from | Origins::UNKNOWN, ..sum };
        yielded.unfollowed = Some(site.name.as_str().into());
        // While routes are collected, functions are handlers and do not run.
        let wraps = site.wraps || self.run.loading;
        if let Some(wrapped) = Value::wrapping(&site.name, given).filter(|_| wraps) {
            return Value { shape: wrapped.shape, ..yielded };
        }
        let sees_request = given.iter().any(sees_request);
        self.emit(EventKind::Unfollowed { name: site.name.clone(), sees_request }, site.frame, site.span);
        for function in given.iter().filter(|given| given.is_function()) {
            self.perhaps(|follower| {
                follower.repeatedly(|follower| follower.apply(function, Vec::new(), site.frame, site.span))
            });
        }
        match function.path() {
            Some(path) => yielded.called(path),
            None => yielded.called(&format!("?{}", site.name)),
        }
    }

    /// Runs functions for sure, as `$transaction` and `after` do, and yields what the first of them does.
    pub(crate) fn run_given(&mut self, given: &[Value], with: &[Value], site: &Site<'_>) -> Option<Value> {
        let mut first = None;
        for function in given.iter().filter(|given| given.is_function()) {
            let yielded = self.apply(function, with.to_vec(), site.frame, site.span);
            first.get_or_insert(yielded);
        }
        first
    }
}

fn written_argument(argument: &crate::model::Argument) -> String {
    match argument {
        crate::model::Argument::One(value) | crate::model::Argument::Spread(value) => written(value),
    }
}

/// What is called, without what only surrounds it.
fn unwrapped(callee: &Expr) -> &Expr {
    let mut callee = callee;
    while let Expr::Await(inner) | Expr::Same(inner) = callee {
        callee = inner;
    }
    callee
}
