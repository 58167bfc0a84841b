//! Functions without a server: files in `api`, in `netlify/functions` and in `functions`, each with a path of its own.

use std::rc::Rc;

use super::handlers::{ANY, Handlers, judgment, param, span_of};
use super::next::{METHODS, body_of, by_method, url};
use super::{Found, exported};
use crate::follow::{BodyState, Follower, Module, RouterKind, Shape, Value};
use crate::model::Route;

/// Every function that no router was seen to register.
pub(super) fn routes(follower: &mut Follower<'_>, loaded: &[Rc<Module>], found: &mut Found<'_>) {
    for module in loaded {
        let file = module.facts.path.as_str();
        if found.files.contains(file) {
            continue;
        }
        worker(follower, module, found);
        if let Some(path) = function_path(file) {
            event_handler(follower, module, &path, found);
        }
        if let Some(below) = below(file, "functions/") {
            per_method(follower, module, &url(stem(below)), found);
        }
        if let Some(path) = api_path(follower, file) {
            exported::per_method(follower, module, &path, found);
            node_handler(follower, module, &path, found);
        }
    }
}

/// What stands below a folder of that name.
fn below<'f>(file: &'f str, folder: &str) -> Option<&'f str> {
    file.strip_prefix(folder).or_else(|| file.split_once(&format!("/{folder}")).map(|(_, below)| below))
}

fn stem(file: &str) -> &str {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.strip_suffix("/index").unwrap_or(stem)
}

/// The path of a function that is given an event.
fn function_path(file: &str) -> Option<String> {
    let below = below(file, "functions/")?;
    let netlify = below.len() < file.len() && file.contains("netlify/functions/");
    let prefix = if netlify { "/.netlify/functions" } else { "" };
    Some(format!("{prefix}{}", url(stem(below))))
}

/// The path of a file in the `api` folder of a project.
fn api_path(follower: &Follower<'_>, file: &str) -> Option<String> {
    let below = below(file, "api/")?;
    let project = file.strip_suffix(below)?.strip_suffix("api/")?;
    let is_project = project.is_empty()
        || ["vercel.json", "package.json"].iter().any(|name| follower.sources.exists(&format!("{project}{name}")));
    is_project.then(|| url(&format!("api/{}", stem(below))))
}

/// A worker's `export default { async fetch(request, env) { … } }`, which answers all paths.
fn worker(follower: &mut Follower<'_>, module: &Rc<Module>, found: &mut Found<'_>) {
    let default = follower.export(module, "default").unwrap_or_default();
    let Some(handler) = default.field("fetch").filter(Value::is_function) else { return };
    let route = Route {
        method: ANY.to_owned(),
        path: "/".to_owned(),
        file: module.facts.path.clone(),
        span: span_of(&handler, module),
        handler: "fetch".to_owned(),
        judgment: judgment(&handler),
    };
    let given = vec![Value::shaped(Shape::Request), Value::foreign("env"), Value::foreign("context")];
    found.push(Handlers::of(module, vec![(handler, given)]).follow(follower, route));
}

/// `exports.handler = async (event) => …`, or a default that is given the request.
fn event_handler(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    let given = Follower::given_by(RouterKind::NextConnect);
    let handler = follower.export(module, "handler").filter(Value::is_function);
    let takes_event = handler.as_ref().is_some_and(|handler| param(handler, 0).is_none_or(|name| name != "req"));
    if let Some(handler) = handler.filter(|_| takes_event) {
        by_method(follower, module, &handler, path, BodyState::Raw, &given, found);
    } else if module.facts.path.contains("netlify/")
        && let Some(handler) = follower.export(module, "default").filter(Value::is_function)
    {
        by_method(follower, module, &handler, path, BodyState::Unknown, &given, found);
    }
}

/// `export const onRequestPost = async ({ request, env }) => …`.
fn per_method(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    for method in METHODS.iter().copied().chain([ANY]) {
        let (first, rest) = method.split_at(1);
        let name =
            if method == ANY { "onRequest".to_owned() } else { format!("onRequest{first}{}", rest.to_lowercase()) };
        let Some(handler) = follower.export(module, &name).filter(Value::is_function) else { continue };
        let route = Route {
            method: method.to_owned(),
            path: path.to_owned(),
            file: module.facts.path.clone(),
            span: span_of(&handler, module),
            handler: name,
            judgment: judgment(&handler),
        };
        let functions = vec![(handler, vec![Value::shaped(Shape::Context)])];
        found.push(Handlers::of(module, functions).follow(follower, route));
    }
}

/// `export default function handler(req, res)`.
fn node_handler(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    let Some(handler) = follower.export(module, "default").filter(Value::is_function) else { return };
    if param(&handler, 0).is_some_and(|name| !name.starts_with("req"))
        || param(&handler, 1).is_some_and(|name| !name.starts_with("res"))
    {
        return;
    }
    let body = body_of(follower, module);
    by_method(follower, module, &handler, path, body, &Follower::given_by(RouterKind::NextConnect), found);
}
