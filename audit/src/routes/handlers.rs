//! What runs for a route, and what is told of its handler.

use std::rc::Rc;

use super::Followed;
use crate::follow::{BodyState, Follower, Module, Run, Shape, Value};
use crate::model::{Event, Judgment, Pattern, Route, Span};

/// The method of a route that answers all of them.
pub(super) const ANY: &str = "ANY";

/// What is run for a route.
pub(super) struct Handlers {
    /// The file that declares the route.
    pub(super) module: Rc<Module>,
    /// Middleware and the handler in their order, each with what it is given.
    pub(super) functions: Vec<(Value, Vec<Value>)>,
    /// What is done with the body before.
    pub(super) body: BodyState,
    /// A layer of idempotent endpoints stands around it.
    pub(super) guarded: bool,
    /// It is a server action.
    pub(super) action: bool,
    /// What is checked before all handlers.
    pub(super) checks: Vec<Event>,
}

impl Handlers {
    pub(super) fn of(module: &Rc<Module>, functions: Vec<(Value, Vec<Value>)>) -> Self {
        Self {
            module: Rc::clone(module),
            functions,
            body: BodyState::Unknown,
            guarded: false,
            action: false,
            checks: Vec::new(),
        }
    }

    /// Follows them for the route's method, if it has one.
    pub(super) fn follow(self, follower: &mut Follower<'_>, route: Route) -> Followed {
        let method = (route.method != ANY).then_some(route.method.as_str());
        let mut run = Run::of(method, self.body);
        run.guarded = self.guarded;
        let mut run = follower.trace(run, &self.module, route.span, &self.functions);
        let ahead = self.checks.len();
        run.events.splice(0..0, self.checks);
        let last = self.functions.iter().rev().find_map(|(function, _)| home_of(function));
        let home = run.home.clone().or(last).unwrap_or_else(|| route.file.clone());
        let judgment = if is_exempt(&route.path, &route.file) { Judgment::Exempt } else { route.judgment };
        Followed { route: Route { judgment, ..route }, home, run, action: self.action, ahead }
    }
}

/// Whether a route has many operations, which its own protocol tells apart.
fn is_exempt(path: &str, file: &str) -> bool {
    let all = format!("{path}/{file}").to_lowercase();
    all.split(['/', '.']).any(|part| matches!(part, "graphql" | "trpc" | "[trpc]" | "{trpc}"))
}

/// The file of a function.
fn home_of(function: &Value) -> Option<String> {
    match &function.shape {
        Shape::Function(closure) => Some(closure.module.facts.path.clone()),
        Shape::Wrapped(_, inner) => inner.iter().find_map(home_of),
        _ => None,
    }
}

pub(super) fn judgment(handler: &Value) -> Judgment {
    match handler.shape {
        Shape::Function(_) | Shape::Wrapped(..) | Shape::Module(_) => Judgment::Judged,
        _ => Judgment::Foreign,
    }
}

/// Where a handler stands, if it stands in this file.
pub(super) fn span_of(handler: &Value, module: &Rc<Module>) -> Span {
    match &handler.shape {
        Shape::Function(closure) if closure.module.facts.path == module.facts.path => {
            closure.module.facts.functions.get(closure.id).map_or(START, |function| function.span)
        }
        Shape::Wrapped(_, inner) => inner.iter().map(|inner| span_of(inner, module)).next().unwrap_or(START),
        _ => START,
    }
}

const START: Span = Span { line: 1, column: 1, start: 0, end: 0 };

pub(super) fn name_of(handler: &Value, other: &str) -> String {
    match &handler.shape {
        Shape::Function(closure) => closure
            .module
            .facts
            .functions
            .get(closure.id)
            .map(|function| function.name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| other.to_owned()),
        _ => other.to_owned(),
    }
}

/// What a function calls a parameter, empty if it has no such one; `None` for what was wrapped.
pub(super) fn param(handler: &Value, at: usize) -> Option<String> {
    let Shape::Function(closure) = &handler.shape else { return None };
    let function = closure.module.facts.functions.get(closure.id)?;
    match function.params.get(at).map(|param| &param.pattern) {
        Some(Pattern::Name(name, _)) => Some(name.trim_start_matches('_').to_owned()),
        _ => Some(String::new()),
    }
}
