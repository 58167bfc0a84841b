//! Frameworks whose routes are exports of files that their names place: Svelte, Astro, Medusa, Remix and React Router, Nuxt.

use std::rc::Rc;

use super::Found;
use super::handlers::{ANY, Handlers, judgment, name_of, param, span_of};
use super::next::{METHODS, by_method, url};
use crate::follow::{BodyState, Follower, Module, Shape, Value, folder_of};
use crate::model::Route;

/// Every route of a file, if it is one of these.
pub(super) fn routes(follower: &mut Follower<'_>, module: &Rc<Module>, found: &mut Found<'_>) {
    let file = module.facts.path.clone();
    let name = file.rsplit('/').next().unwrap_or_default();
    let full = format!("/{file}");
    let below = |folder: &str| full.rsplit_once(folder).map(|(_, below)| below);
    if name.starts_with("+server.") || name.starts_with("+page.server.") {
        let path = url(folder_of(below("/routes/").unwrap_or_default()));
        per_method(follower, module, &path, found);
        form_actions(follower, module, &path, found);
    } else if let Some(below) = below("/server/api/") {
        event_handler(follower, module, &format!("api/{below}"), found);
    } else if let Some(below) = below("/server/routes/") {
        event_handler(follower, module, below, found);
    } else if let Some(below) = below("/routes/") {
        action(follower, module, &flat_url(below), found);
    } else if let Some(below) = below("/src/api/").filter(|_| name.starts_with("route.") && !full.contains("/app/")) {
        per_method(follower, module, &url(folder_of(below)), found);
    } else if let Some(below) = below("/pages/api/") {
        per_method(follower, module, &url(&format!("api/{}", stem(below))), found);
    }
}

/// `export const POST: RequestHandler = async ({ request }) => …`.
pub(super) fn per_method(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    for method in METHODS.iter().copied().chain(["ALL"]) {
        let Some(handler) = follower.export(module, method).filter(Value::is_function) else { continue };
        let shown = if method == "ALL" { ANY } else { method };
        push(follower, module, handler, (shown, path), found);
    }
}

/// Svelte's `export const actions = { default: async ({ request }) => … }`, which forms are sent to.
fn form_actions(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    let Some(Value { shape: Shape::Object(actions), .. }) = follower.export(module, "actions") else { return };
    let actions = actions.fields.borrow().clone();
    for (name, handler) in actions.into_iter().filter(|(_, handler)| handler.is_function()) {
        let path = if name == "default" { path.to_owned() } else { format!("{path}?/{name}") };
        push(follower, module, handler, ("POST", &path), found);
    }
}

fn push(
    follower: &mut Follower<'_>,
    module: &Rc<Module>,
    handler: Value,
    (method, path): (&str, &str),
    found: &mut Found<'_>,
) {
    let route = Route { method: method.to_owned(), ..route_of(&handler, module, path) };
    // A plain `request` is one; what is taken apart, or has another name, holds it.
    let plain = param(&handler, 0).is_some_and(|name| name.starts_with("req"));
    let given = if plain {
        vec![Value::shaped(Shape::Request), Value::shaped(Shape::Response(None))]
    } else {
        vec![Value::shaped(Shape::Context)]
    };
    found.push(Handlers::of(module, vec![(handler, given)]).follow(follower, route));
}

fn route_of(handler: &Value, module: &Rc<Module>, path: &str) -> Route {
    Route {
        method: "POST".to_owned(),
        path: path.to_owned(),
        file: module.facts.path.clone(),
        span: span_of(handler, module),
        handler: name_of(handler, "handler"),
        judgment: judgment(handler),
    }
}

/// Remix's `export async function action({ request })`, which answers all but GET.
fn action(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str, found: &mut Found<'_>) {
    per_method(follower, module, path, found);
    let Some(handler) = follower.export(module, "action").filter(Value::is_function) else { return };
    let context = [Value::shaped(Shape::Context)];
    // Which methods it tells apart shows only when it is followed for all.
    let route = Route { method: ANY.to_owned(), ..route_of(&handler, module, path) };
    let any = Handlers::of(module, vec![(handler.clone(), context.to_vec())]).follow(follower, route);
    if any.run.mentions.is_empty() {
        push(follower, module, handler, ("POST", path), found);
    } else {
        by_method(follower, module, &handler, path, BodyState::Unknown, &context, found);
    }
}

/// Nuxt's `export default defineEventHandler(async (event) => …)`; the file's name says the method: `pay.post.ts`.
fn event_handler(follower: &mut Follower<'_>, module: &Rc<Module>, below: &str, found: &mut Found<'_>) {
    let Some(handler) = follower.export(module, "default").filter(Value::is_function) else { return };
    let path = stem(below);
    let method = METHODS.iter().find_map(|method| {
        let path = path.strip_suffix(&format!(".{}", method.to_lowercase()))?;
        Some((*method, path.strip_suffix("/index").unwrap_or(path)))
    });
    if let Some((method, path)) = method {
        push(follower, module, handler, (method, &url(path)), found);
        return;
    }
    let context = [Value::shaped(Shape::Context)];
    by_method(follower, module, &handler, &url(path), BodyState::Unknown, &context, found);
}

fn stem(file: &str) -> &str {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.strip_suffix("/index").or_else(|| stem.strip_suffix("/route")).unwrap_or(stem)
}

/// The URL of a file whose name holds the path: `api.orders.$id.tsx`, `_shop.pay/route.tsx`.
fn flat_url(below: &str) -> String {
    let mut url = String::new();
    for part in stem(below).split(['/', '.']) {
        let part = part.trim_end_matches(['_', '+']);
        if part.is_empty() || part.starts_with('_') {
            continue;
        }
        url.push('/');
        match part.strip_prefix('$') {
            Some(name) => {
                url.push('{');
                url.push_str(if name.is_empty() { "rest" } else { name });
                url.push('}');
            }
            None => url.push_str(part),
        }
    }
    if url.is_empty() { "/".to_owned() } else { url }
}
