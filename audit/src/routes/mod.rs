//! Routes: what declares them, and what runs for each.

mod next;
mod registered;
mod serverless;

use std::rc::Rc;

use crate::follow::{BodyState, Follower, Module, Run, Shape, Value};
use crate::model::{Judgment, Route, Span};

/// A route with what happened when it was followed.
pub(crate) struct Followed {
    pub(crate) route: Route,
    /// The file that the handler itself stands in.
    pub(crate) home: String,
    pub(crate) run: Run,
    /// It is a server action, which has no headers of its own.
    pub(crate) action: bool,
}

/// What is run for a route.
struct Handlers {
    module: Rc<Module>,
    span: Span,
    functions: Vec<(Value, Vec<Value>)>,
    body: BodyState,
    guarded: bool,
}

/// Every route that one of the files declares, followed.
pub(crate) fn all(follower: &mut Follower<'_>, candidates: &[String]) -> Vec<Followed> {
    let mut found = Vec::new();
    let mut loaded = Vec::new();
    for path in candidates {
        let Some(module) = follower.load(path) else { continue };
        if next::is_app_route(path) {
            next::app_routes(follower, &module, &mut found);
        } else if next::is_pages_route(path) {
            next::pages_route(follower, &module, &mut found);
        }
        next::actions(follower, &module, &mut found);
        loaded.push(module);
    }
    registered::declared(follower, &loaded, &mut found);
    registered::routes(follower, &loaded, &mut found);
    serverless::routes(follower, &loaded, &mut found);
    found.sort_by(|one, two| {
        let place = |followed: &Followed| {
            (
                followed.route.file.clone(),
                followed.route.span.line,
                followed.route.span.column,
                followed.route.method.clone(),
            )
        };
        place(one).cmp(&place(two))
    });
    found
}

/// Whether a route has many operations, which its own protocol tells apart.
fn is_exempt(path: &str, file: &str) -> bool {
    let all = format!("{path}/{file}").to_lowercase();
    all.split(['/', '.']).any(|part| matches!(part, "graphql" | "trpc" | "[trpc]" | "{trpc}"))
}

impl Handlers {
    fn follow(self, follower: &mut Follower<'_>, route: Route, method: Option<&str>, action: bool) -> Followed {
        let mut run = Run::of(method, self.body);
        run.guarded = self.guarded;
        let run = follower.trace(run, &self.module, self.span, &self.functions);
        let last = self.functions.iter().rev().find_map(|(function, _)| home_of(function));
        let home = run.home.clone().or(last).unwrap_or_else(|| route.file.clone());
        let judgment = if is_exempt(&route.path, &route.file) { Judgment::Exempt } else { route.judgment };
        Followed { route: Route { judgment, ..route }, home, run, action }
    }
}

/// The file of a function.
fn home_of(function: &Value) -> Option<String> {
    match &function.shape {
        Shape::Function(closure) => Some(closure.module.facts.path.clone()),
        Shape::Wrapped(_, inner) => inner.iter().find_map(home_of),
        _ => None,
    }
}
