//! Next.js: the app router, the pages router, server actions.

use std::rc::Rc;

use super::handlers::{ANY, Handlers, judgment, name_of, span_of};
use super::{Found, gate};
use crate::follow::{BodyState, Follower, Module, RouterKind, Shape, Value, folder_of};
use crate::model::{Export, FileFacts, Judgment, Route};

pub(super) const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

pub(super) fn is_app_route(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    stem == "route" && format!("/{path}").contains("/app/")
}

pub(super) fn is_pages_route(path: &str) -> bool {
    format!("/{path}").contains("/pages/api/")
}

/// The URL of a file below `app`: groups and slots have no part in it.
fn app_url(path: &str) -> String {
    let full = format!("/{path}");
    let below = full.rsplit_once("/app/").map(|(_, below)| below).unwrap_or_default();
    url(folder_of(below))
}

fn pages_url(path: &str) -> String {
    let full = format!("/{path}");
    let below = full.rsplit_once("/pages/").map(|(_, below)| below).unwrap_or_default();
    let stem = below.rsplit_once('.').map_or(below, |(stem, _)| stem);
    url(stem.strip_suffix("/index").unwrap_or(stem))
}

pub(super) fn url(folders: &str) -> String {
    let mut url = String::new();
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        if (part.starts_with('(') && part.ends_with(')')) || part.starts_with('@') {
            continue;
        }
        url.push('/');
        match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
            Some(name) => {
                let name = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches("...");
                url.push('{');
                url.push_str(name);
                url.push('}');
            }
            None => url.push_str(part),
        }
    }
    if url.is_empty() { "/".to_owned() } else { url }
}

pub(super) fn app_routes(follower: &mut Follower<'_>, module: &Rc<Module>, found: &mut Found<'_>) {
    let file = module.facts.path.clone();
    for method in METHODS {
        let Some(handler) = follower.export(module, method) else { continue };
        if matches!(handler.shape, Shape::Router(_)) {
            // Hono under a catch-all: its own routes are listed.
            continue;
        }
        let context = Value::object([("params".to_owned(), Value::request("params"))].into_iter().collect());
        let given = vec![Value::shaped(Shape::Request), context];
        let route = Route {
            method: (*method).to_owned(),
            path: app_url(&file),
            file: file.clone(),
            span: span_of(&handler, module),
            handler: (*method).to_owned(),
            judgment: judgment(&handler),
        };
        let checks = gate::checks(follower, "app", &route);
        found.push(Handlers { checks, ..Handlers::of(module, vec![(handler, given)]) }.follow(follower, route));
    }
}

pub(super) fn pages_route(follower: &mut Follower<'_>, module: &Rc<Module>, found: &mut Found<'_>) {
    let Some(handler) = follower.export(module, "default") else { return };
    let file = module.facts.path.clone();
    if let Shape::Router(router) = handler.shape {
        super::registered::below(follower, router, &pages_url(&file), found);
        return;
    }
    let body = body_of(follower, module);
    let given = Follower::given_by(RouterKind::NextConnect);
    by_method(follower, module, &handler, &pages_url(&file), body, &given, found);
}

/// A handler of one path that tells methods apart itself: once per method that it mentions.
pub(super) fn by_method(
    follower: &mut Follower<'_>,
    module: &Rc<Module>,
    handler: &Value,
    path: &str,
    body: BodyState,
    given: &[Value],
    found: &mut Found<'_>,
) {
    let span = span_of(handler, module);
    let follow = |follower: &mut Follower<'_>, method: &str| {
        let route = Route {
            method: method.to_owned(),
            path: path.to_owned(),
            file: module.facts.path.clone(),
            span,
            handler: name_of(handler, "handler"),
            judgment: judgment(handler),
        };
        let checks = gate::checks(follower, "pages", &route);
        Handlers { body, checks, ..Handlers::of(module, vec![(handler.clone(), given.to_vec())]) }
            .follow(follower, route)
    };
    let any = follow(follower, ANY);
    let methods: Vec<&String> = any.run.mentions.iter().filter(|method| METHODS.contains(&method.as_str())).collect();
    for method in &methods {
        found.push(follow(follower, method));
    }
    if methods.is_empty() {
        found.push(any);
    }
}

/// Whether Next.js parses the body before the handler: `export const config = { api: { bodyParser: false } }`.
pub(super) fn body_of(follower: &mut Follower<'_>, module: &Rc<Module>) -> BodyState {
    let config = follower.export(module, "config").unwrap_or_default();
    let parser = config.field("api").and_then(|api| api.field("bodyParser"));
    match parser.map(|parser| parser.shape) {
        Some(Shape::Bool(false)) => BodyState::Raw,
        _ => BodyState::Parsed,
    }
}

/// Whether a browser may call one of the file's functions.
pub(super) fn has_actions(facts: &FileFacts) -> bool {
    is_of_server(&facts.directives) || facts.functions.iter().any(|function| is_of_server(&function.directives))
}

fn is_of_server(directives: &[String]) -> bool {
    directives.iter().any(|directive| directive == "use server")
}

/// Functions that a browser may call: those of a file with `'use server'`, and functions that say it themselves.
pub(super) fn actions(follower: &mut Follower<'_>, module: &Rc<Module>, found: &mut Found<'_>) {
    let facts = &module.facts;
    if !has_actions(facts) {
        return;
    }
    let whole = is_of_server(&facts.directives);
    let exported: Vec<String> = facts
        .exports
        .iter()
        .filter_map(|export| match export {
            Export::Local { name, local } => Some(if name == "default" { local.clone() } else { name.clone() }),
            Export::Value { name, .. } => Some(name.clone()),
            _ => None,
        })
        .collect();
    for name in exported {
        let value = follower.export(module, &name).or_else(|| module.scope.find(&name));
        let Some(action) = value.filter(Value::is_function) else { continue };
        let (params, own) = match &action.shape {
            Shape::Function(closure) => closure
                .module
                .facts
                .functions
                .get(closure.id)
                .map_or((3, false), |function| (function.params.len(), is_of_server(&function.directives))),
            _ => (3, false),
        };
        if !whole && !own {
            continue;
        }
        let argument = |at: usize| Value::parsed(&format!("argument{at}"));
        let given = (1..=params).map(argument).collect();
        let route = Route {
            method: "POST".to_owned(),
            path: format!("action:{name}"),
            file: facts.path.clone(),
            span: span_of(&action, module),
            handler: name,
            judgment: Judgment::Judged,
        };
        let handlers = Handlers { action: true, ..Handlers::of(module, vec![(action, given)]) };
        found.push(handlers.follow(follower, route));
    }
}
