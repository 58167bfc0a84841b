//! The routers that a file builds: routes, nested and merged routers, layers.

use std::collections::BTreeMap;

use crate::model::{Argument, Block, CallExpr, Expr, FileFacts, Function, Literal, Pattern, Span, Step};

/// A function that builds routers, and the last of them.
#[derive(Debug, Clone)]
pub(super) struct RouterFunction {
    pub(super) name: String,
    /// What it returns, or serves.
    pub(super) routers: Vec<Router>,
}

/// A router, in the order in which it was built.
#[derive(Debug, Clone, Default)]
pub(super) struct Router {
    pub(super) pieces: Vec<Piece>,
}

/// What was added to a router.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Route(MethodRoute),
    /// Under a path, or at the same level.
    Router(String, RouterRef),
    /// Around all that was added before.
    Layer(Vec<Layer>),
}

/// One method of one path.
#[derive(Debug, Clone)]
pub(super) struct MethodRoute {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) handler: Expr,
    /// The outermost first.
    pub(super) layers: Vec<Layer>,
    pub(super) span: Span,
}

/// A router that is put into another one.
#[derive(Debug, Clone)]
pub(super) enum RouterRef {
    Here(Router),
    /// The function that builds it.
    By(Expr),
}

/// A layer, as far as it matters.
#[derive(Debug, Clone)]
pub(super) enum Layer {
    /// payproof's layer of idempotent endpoints.
    Guard,
    /// A function that is given the request, or what may be one.
    Before(Expr),
}

/// Layers that neither authenticate nor act.
const HARMLESS: &[&str] = &[
    "Trace",
    "Cors",
    "Timeout",
    "Compression",
    "Decompression",
    "RequestBodyLimit",
    "DefaultBodyLimit",
    "CatchPanic",
    "SetRequestId",
    "PropagateRequestId",
    "SetResponseHeader",
    "NormalizePath",
    "Extension",
    "ConcurrencyLimit",
    "LoadShed",
    "Buffer",
    "HandleError",
    "SensitiveHeaders",
    "Metrics",
    "Prometheus",
    "Governor",
    "RateLimit",
    "Envelope",
    "SetSensitive",
];

const METHODS: &[&str] = &["get", "post", "put", "patch", "delete", "head", "options", "trace", "any"];

/// Routers that are built in the file's functions.
pub(super) fn of(facts: &FileFacts) -> Vec<RouterFunction> {
    let built = facts.functions.iter().map(|function| built(facts, function));
    built.filter(|function| !function.routers.is_empty()).collect()
}

fn built(facts: &FileFacts, function: &Function) -> RouterFunction {
    let mut building = Building { facts, locals: BTreeMap::new(), routers: BTreeMap::new(), ended: Vec::new() };
    building.block(&function.body);
    let mut routers = building.ended;
    routers.extend(building.routers.into_values());
    RouterFunction { name: function.name.clone(), routers }
}

/// What is known while a function is read.
struct Building<'f> {
    facts: &'f FileFacts,
    /// Names and what they were given.
    locals: BTreeMap<String, Expr>,
    /// Routers under names, until another one takes them.
    routers: BTreeMap<String, Router>,
    /// Routers that were returned.
    ended: Vec<Router>,
}

impl Building<'_> {
    fn block(&mut self, block: &Block) {
        for step in block {
            match step {
                Step::Let(Pattern::Name(name, _), Some(value), _) => self.given(name, value),
                Step::Expr(Expr::Assign(into, _, value), _) => match &**into {
                    Pattern::Name(name, _) => self.given(name, value),
                    _ => self.looked(value),
                },
                Step::Return(Some(value), _) => match self.router(value) {
                    Some(router) => self.ended.push(router),
                    None => self.looked(value),
                },
                Step::Expr(value, _) => self.looked(value),
                Step::Block(inner) => self.block(inner),
                Step::If(_, yes, no, _) => {
                    self.block(yes);
                    self.block(no);
                }
                _ => {}
            }
        }
    }

    fn given(&mut self, name: &str, value: &Expr) {
        if let Some(router) = self.router(value) {
            self.routers.insert(name.to_owned(), router);
        } else {
            self.locals.insert(name.to_owned(), value.clone());
        }
    }

    /// A router that is handed to something, as to `axum::serve`.
    fn looked(&mut self, value: &Expr) {
        if let Some(router) = self.router(value) {
            self.ended.push(router);
        } else if let Expr::Call(call) = bare(value) {
            for argument in &call.arguments {
                if let Argument::One(given) = argument
                    && let Some(router) = self.router(given)
                {
                    self.ended.push(router);
                }
            }
            if let Expr::Member(object, ..) = bare(&call.callee) {
                self.looked(object);
            }
        }
    }

    /// The router that an expression builds, with routes in it.
    fn router(&mut self, value: &Expr) -> Option<Router> {
        // From the outermost call to the first, and then back.
        let mut calls: Vec<(&str, &CallExpr)> = Vec::new();
        let mut at = bare(value);
        let mut router = loop {
            match at {
                Expr::Call(call) => match bare(&call.callee) {
                    Expr::Member(object, name, _) if is_router_type(object) && name == "new" => {
                        break Router::default();
                    }
                    Expr::Member(object, name, _) => {
                        calls.push((name, call));
                        at = bare(object);
                    }
                    _ if calls.iter().any(|(name, _)| adds(name)) => {
                        break Router { pieces: vec![Piece::Router(String::new(), RouterRef::By(at.clone()))] };
                    }
                    _ => return None,
                },
                Expr::Name(name, _) if self.routers.contains_key(name) => break self.routers.remove(name)?,
                _ => return None,
            }
        };
        for (name, call) in calls.into_iter().rev() {
            self.add(&mut router, name, call);
        }
        Some(router)
    }

    fn add(&mut self, router: &mut Router, name: &str, call: &CallExpr) {
        let given: Vec<&Expr> = call.arguments.iter().filter_map(one).collect();
        match (name, given.as_slice()) {
            ("route", [path, methods]) => {
                let path = self.text(path);
                router.pieces.extend(self.methods(&path, methods).into_iter().map(Piece::Route));
            }
            ("nest" | "nest_service", [path, inner]) => {
                let inner = self.inner(inner);
                router.pieces.push(Piece::Router(self.text(path), inner));
            }
            ("merge", [inner]) => {
                let inner = self.inner(inner);
                router.pieces.push(Piece::Router(String::new(), inner));
            }
            ("layer" | "route_layer", [layer]) => router.pieces.push(Piece::Layer(self.layers(layer))),
            _ => {}
        }
    }

    fn inner(&mut self, value: &Expr) -> RouterRef {
        if let Some(router) = self.router(value) {
            return RouterRef::Here(router);
        }
        let value = bare(value);
        let local = if let Expr::Name(name, _) = value { self.locals.get(name) } else { None };
        RouterRef::By(local.unwrap_or(value).clone())
    }

    /// `get(list).post(create).layer(guard)`, also with `axum::routing::` before it.
    fn methods(&self, path: &str, value: &Expr) -> Vec<MethodRoute> {
        let mut found: Vec<MethodRoute> = Vec::new();
        let mut outer: Vec<Layer> = Vec::new();
        let mut at = self.resolved(value);
        while let Expr::Call(call) = at {
            let (name, object) = match bare(&call.callee) {
                Expr::Name(name, _) => (name.as_str(), None),
                Expr::Member(object, name, _) => (name.as_str(), Some(bare(object))),
                _ => break,
            };
            let given = call.arguments.iter().find_map(one);
            match (name, given) {
                ("layer" | "route_layer", Some(layer)) => outer.extend(self.layers(layer)),
                (method, Some(handler)) if METHODS.contains(&method) => found.push(MethodRoute {
                    method: method.to_ascii_uppercase(),
                    path: path.to_owned(),
                    handler: handler.clone(),
                    layers: outer.clone(),
                    span: call.at,
                }),
                _ => {}
            }
            match object {
                Some(object) => at = object,
                None => break,
            }
        }
        found.reverse();
        found
    }

    /// The layers of an expression, the outermost first.
    fn layers(&self, value: &Expr) -> Vec<Layer> {
        let value = self.resolved(value);
        let names = names_in(value, self);
        if names.iter().any(|name| name.contains("IdempotencyLayer")) {
            return vec![Layer::Guard];
        }
        if let Expr::Call(call) = value {
            let given: Vec<&Expr> = call.arguments.iter().filter_map(one).collect();
            match (last_name(&call.callee), given.as_slice()) {
                ("from_fn", [function]) | ("from_fn_with_state", [_, function]) => {
                    return vec![Layer::Before(self.resolved(function).clone())];
                }
                ("layer", [layer]) => {
                    // A builder's first layer sees the request first.
                    let Expr::Member(object, ..) = bare(&call.callee) else { return Vec::new() };
                    let mut all = self.layers(object);
                    all.extend(self.layers(layer));
                    return all;
                }
                _ => {}
            }
        }
        let harmless = names.iter().any(|name| HARMLESS.iter().any(|known| name.contains(known)));
        let is_builder = names.iter().all(|name| matches!(name.as_str(), "ServiceBuilder" | "new"));
        if harmless || is_builder { Vec::new() } else { vec![Layer::Before(value.clone())] }
    }

    /// What a local name was given.
    fn resolved<'e>(&'e self, value: &'e Expr) -> &'e Expr {
        let mut value = bare(value);
        for _ in 0..8 {
            match value {
                Expr::Name(name, _) => match self.locals.get(name) {
                    Some(given) => value = bare(given),
                    None => break,
                },
                _ => break,
            }
        }
        value
    }

    /// A path: a literal, or a constant of the file.
    fn text(&self, value: &Expr) -> String {
        let text = match self.resolved(value) {
            Expr::Literal(Literal::Text(text)) => text.clone(),
            Expr::Name(name, _) => self.constant(name).unwrap_or_else(|| format!("/{{{name}}}")),
            _ => "/{…}".to_owned(),
        };
        braced(&text)
    }

    fn constant(&self, name: &str) -> Option<String> {
        self.facts.body.iter().find_map(|step| match step {
            Step::Let(Pattern::Name(known, _), Some(Expr::Literal(Literal::Text(text))), _) if known == name => {
                Some(text.clone())
            }
            _ => None,
        })
    }
}

/// Names of an expression's calls and of what they are called on, local names resolved.
fn names_in(value: &Expr, building: &Building<'_>) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), vec![value]);
    while let Some(value) = next.pop() {
        if names.len() > 64 {
            break;
        }
        match building.resolved(value) {
            Expr::Call(call) => next.push(&call.callee),
            Expr::Member(object, name, _) => {
                names.push(name.clone());
                next.push(object);
            }
            Expr::Name(name, _) => names.push(name.clone()),
            _ => {}
        }
    }
    names
}

fn adds(name: &str) -> bool {
    matches!(name, "route" | "nest" | "merge" | "layer" | "route_layer" | "with_state")
}

fn is_router_type(value: &Expr) -> bool {
    last_name(value) == "Router"
}

pub(super) fn last_name(value: &Expr) -> &str {
    match bare(value) {
        Expr::Name(name, _) | Expr::Member(_, name, _) => name.rsplit("::").next().unwrap_or_default(),
        _ => "",
    }
}

/// Without what only surrounds a value.
pub(super) fn bare(value: &Expr) -> &Expr {
    let mut value = value;
    while let Expr::Same(inner) | Expr::Try(inner) | Expr::Await(inner) = value {
        value = inner;
    }
    value
}

fn one(argument: &Argument) -> Option<&Expr> {
    match argument {
        Argument::One(value) => Some(value),
        Argument::Spread(_) => None,
    }
}

/// `:id` of older routers as `{id}`.
fn braced(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix(':').or_else(|| part.strip_prefix('*')) {
        Some(name) => format!("{{{name}}}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}
