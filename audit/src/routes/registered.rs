//! Routes that calls register, as Express and Hono have them, and those that a reader found by itself.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Found;
use super::handlers::{Handlers, name_of};
use crate::follow::{Entry, Follower, Module, RouterKind, RouterValue, Shape, Value, has_word};
use crate::model::{Export, Judgment, Pattern, Route};

/// Routers in routers that are followed.
const DEEPEST_MOUNT: usize = 8;

/// Middleware that stands before a route, and the path below which it does.
#[derive(Clone)]
struct Before {
    path: String,
    handlers: Vec<Value>,
}

/// Everything that was registered on routers which stand below no other one.
pub(super) fn routes(follower: &mut Follower<'_>, loaded: &[Rc<Module>], found: &mut Found<'_>) {
    registrars(follower, loaded);
    let named = named_functions(follower, loaded);
    let is_root = |router: &RouterValue| !router.mounted && router.kind != RouterKind::NextConnect;
    let mut roots: Vec<usize> =
        follower.routers.iter().enumerate().filter(|(_, router)| is_root(router)).map(|(at, _)| at).collect();
    // What is found first is told: a function by the name that it is served under.
    roots.sort_by_key(|root| !named.contains(root));
    let mut seen = BTreeSet::new();
    for root in roots {
        walk(follower, root, "", &[], 0, &mut seen, found);
    }
}

/// Gives functions that are served alone the names of their exports.
fn named_functions(follower: &mut Follower<'_>, loaded: &[Rc<Module>]) -> BTreeSet<usize> {
    let mut named = BTreeSet::new();
    let alone =
        |kind: RouterKind| matches!(kind, RouterKind::Served | RouterKind::Called | RouterKind::CalledWithContext);
    if !follower.routers.iter().any(|router| alone(router.kind)) {
        return named;
    }
    for module in loaded {
        for export in &module.facts.exports {
            let (Export::Local { name, .. } | Export::Value { name, .. }) = export else { continue };
            let Some(Value { shape: Shape::Router(at), .. }) = follower.export(module, name) else { continue };
            let Some(router) = follower.routers.get_mut(at).filter(|router| alone(router.kind)) else { continue };
            for entry in &mut router.entries {
                if let Entry::Route { path, .. } = entry {
                    *path = format!("/{name}");
                }
            }
            named.insert(at);
        }
    }
    named
}

/// The routes of one router below a path that its file's name says.
pub(super) fn below(follower: &mut Follower<'_>, router: usize, path: &str, found: &mut Found<'_>) {
    walk(follower, router, path, &[], 0, &mut BTreeSet::new(), found);
}

/// Functions that register routes on a router they are given, and that no file was seen to call.
fn registrars(follower: &mut Follower<'_>, loaded: &[Rc<Module>]) {
    for module in loaded {
        let file = &module.facts.path;
        if follower.registering.contains(file) {
            continue;
        }
        let names: Vec<String> = module
            .facts
            .exports
            .iter()
            .filter_map(|export| match export {
                Export::Local { name, .. } | Export::Value { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        for name in names {
            let Some(value) = follower.export(module, &name) else { continue };
            let Shape::Function(closure) = &value.shape else { continue };
            let Some(function) = closure.module.facts.functions.get(closure.id) else { continue };
            let kind = function.params.first().and_then(|first| match &first.pattern {
                Pattern::Name(name, _) => router_kind(name, first.type_name.as_deref()),
                _ => None,
            });
            let Some(kind) = kind else { continue };
            let router = follower.router_in(kind, file.clone(), false);
            let rest = function.params.len().saturating_sub(1);
            let mut given = vec![router];
            given.extend((0..rest).map(|_| Value::default()));
            follower.load_with(module, &value, given);
        }
    }
}

fn router_kind(name: &str, of: Option<&str>) -> Option<RouterKind> {
    let of = of.unwrap_or_default();
    if of.contains("Fastify") || name == "fastify" {
        return Some(RouterKind::Fastify);
    }
    if of.contains("Hono") {
        return Some(RouterKind::Hono);
    }
    if of.contains("Express") || of.contains("Router") || of.contains("Application") {
        return Some(RouterKind::Express);
    }
    (of.is_empty() && matches!(name, "app" | "router" | "server" | "api")).then_some(RouterKind::Express)
}

fn walk(
    follower: &mut Follower<'_>,
    router: usize,
    prefix: &str,
    before: &[Before],
    depth: usize,
    seen: &mut BTreeSet<(String, u32, String)>,
    found: &mut Found<'_>,
) {
    if depth > DEEPEST_MOUNT {
        return;
    }
    let Some(value) = follower.routers.get(router).cloned() else { return };
    let prefix = &joined_path(prefix, &value.prefix);
    let mut before = before.to_vec();
    for entry in value.entries {
        match entry {
            Entry::Use { path, handlers } => before.push(Before { path: joined_path(prefix, &path), handlers }),
            Entry::Mount { path, router, before: own } => {
                let prefix = joined_path(prefix, &path);
                let mut inner = before.clone();
                inner.push(Before { path: prefix.clone(), handlers: own });
                walk(follower, router, &prefix, &inner, depth.saturating_add(1), seen, found);
            }
            Entry::Route { method, path, handlers, module, span, name } => {
                let path = joined_path(prefix, &path);
                if !seen.insert((module.facts.path.clone(), span.start, method.clone())) {
                    continue;
                }
                let last = handlers.last().cloned().unwrap_or_default();
                let known = handlers.iter().any(Value::is_function);
                let judgment = if known { Judgment::Judged } else { Judgment::Foreign };
                let given = Follower::given_by(value.kind);
                let ahead =
                    before.iter().filter(|ahead| is_below(&path, &ahead.path)).flat_map(|ahead| ahead.handlers.iter());
                let functions = ahead.chain(handlers.iter()).map(|handler| (handler.clone(), given.clone())).collect();
                let route = Route {
                    method,
                    path: shown(&path),
                    file: module.facts.path.clone(),
                    span,
                    handler: name_of(
                        &last,
                        if has_word(&name, &["function"]) || name == "…" { "handler" } else { &name },
                    ),
                    judgment,
                };
                found.push(Handlers::of(&module, functions).follow(follower, route));
            }
        }
    }
}

/// Routes that the reader of a file recognized.
pub(super) fn declared(follower: &mut Follower<'_>, loaded: &[Rc<Module>], found: &mut Found<'_>) {
    for module in loaded {
        for fact in &module.facts.routes {
            let mut functions = Vec::new();
            for layer in &fact.before {
                functions.push((
                    follower.value_in(module, layer),
                    vec![Value::shaped(Shape::Request), Value::shaped(Shape::Next)],
                ));
            }
            let handler = follower.value_in(module, &fact.handler);
            let judgment = if handler.is_function() { Judgment::Judged } else { Judgment::Foreign };
            let route = Route {
                method: fact.method.clone(),
                path: fact.path.clone(),
                file: module.facts.path.clone(),
                span: fact.span,
                handler: name_of(&handler, "handler"),
                judgment,
            };
            functions.push((handler, Vec::new()));
            let handlers = Handlers { guarded: fact.guarded, ..Handlers::of(module, functions) };
            found.push(handlers.follow(follower, route));
        }
    }
}

fn joined_path(prefix: &str, path: &str) -> String {
    let path = path.trim_matches('/');
    let prefix = prefix.trim_end_matches('/');
    if path.is_empty() { prefix.to_owned() } else { format!("{prefix}/{path}") }
}

/// Whether middleware below `above` stands before a route.
fn is_below(path: &str, above: &str) -> bool {
    let above = above.trim_end_matches('*').trim_end_matches('/');
    above.is_empty() || path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// `/orders/:id` as `/orders/{id}`.
fn shown(path: &str) -> String {
    let mut shown = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        shown.push('/');
        match part.strip_prefix(':') {
            Some(name) => {
                let name: String = name.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
                shown.push('{');
                shown.push_str(&name);
                shown.push('}');
            }
            None => shown.push_str(part),
        }
    }
    if shown.is_empty() { "/".to_owned() } else { shown }
}
