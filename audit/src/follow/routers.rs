//! Routers: what is registered on them, and how a handler is run.

use std::rc::Rc;

use super::calls::Site;
use super::compare::is_staff;
use super::frame::Frame;
use super::harmless::is_harmless_package;
use super::origins::Origins;
use super::sessions::is_session_name;
use super::value::{Module, Shape, Value, texts};
use super::words::{has_word, last_part};
use super::{BodyState, Follower};
use crate::model::{EventKind, Span};

const METHODS: &[&str] = &["get", "post", "put", "patch", "delete", "all", "head", "options", "del", "any"];

/// What a router was made by, which says what its handlers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouterKind {
    Express,
    Hono,
    Fastify,
    Koa,
    /// Handlers of one path, which the file's name says.
    NextConnect,
    /// A function of Firebase's that is served alone.
    Served,
    /// Firebase's functions that a client calls by their names: with data and context, or with both in one.
    Called,
    CalledWithContext,
}

/// A router and what was registered on it, in order.
#[derive(Debug, Clone)]
pub(crate) struct RouterValue {
    pub(crate) kind: RouterKind,
    pub(crate) entries: Vec<Entry>,
    pub(crate) mounted: bool,
    /// What its paths begin with, wherever it is mounted.
    pub(crate) prefix: String,
    /// The file it was made in.
    pub(crate) file: String,
}

/// What was registered.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Middleware for all below a path.
    Use { path: String, handlers: Vec<Value> },
    /// A route.
    Route { method: String, path: String, handlers: Vec<Value>, module: Rc<Module>, span: Span, name: String },
    /// Another router below a path.
    Mount { path: String, router: usize, before: Vec<Value> },
}

impl Follower<'_> {
    /// `express()`, `Router()`, `new Hono()`.
    pub(crate) fn router_made(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let kind = match path {
            "express#default"
            | "express#Router"
            | "express#default.Router"
            | "router#default"
            | "express-promise-router#default" => RouterKind::Express,
            "hono#Hono" | "hono/quick#Hono" | "hono/tiny#Hono" | "@hono/zod-openapi#OpenAPIHono" => RouterKind::Hono,
            "fastify#default" | "fastify#fastify" | "fastify#Fastify" => RouterKind::Fastify,
            "@koa/router#default" | "koa-router#default" | "koa#default" => RouterKind::Koa,
            "next-connect#createRouter"
            | "next-connect#default"
            | "next-connect#createEdgeRouter"
            | "next-connect#nc" => RouterKind::NextConnect,
            _ => return self.served(path, given, site).or_else(|| self.firebase(path, given, site)),
        };
        let made = self.new_router(kind, site, false);
        if let (Shape::Router(router), Some(prefix)) =
            (&made.shape, given.first().and_then(|first| first.field("prefix")))
        {
            self.begin_with(*router, &prefix);
        }
        Some(made)
    }

    pub(crate) fn new_router(&mut self, kind: RouterKind, site: &Site<'_>, mounted: bool) -> Value {
        let file = site.frame.module.facts.path.clone();
        self.router_in(kind, file, mounted)
    }

    pub(crate) fn router_in(&mut self, kind: RouterKind, file: String, mounted: bool) -> Value {
        self.routers.push(RouterValue { kind, entries: Vec::new(), mounted, prefix: String::new(), file });
        Value::shaped(Shape::Router(self.routers.len().saturating_sub(1)))
    }

    /// Koa's `new Router({ prefix })` and `router.prefix(path)`.
    fn begin_with(&mut self, router: usize, prefix: &Value) {
        if let Some(router) = self.routers.get_mut(router) {
            router.prefix = path_of(Some(prefix));
        }
    }

    fn entry(&mut self, router: usize, entry: Entry) {
        if let Some(router) = self.routers.get_mut(router) {
            let registers = match &entry {
                Entry::Route { module, .. } => Some(&module.facts.path),
                _ => None,
            };
            for file in registers.into_iter().chain([&router.file]) {
                if !self.registering.contains(file) {
                    self.registering.insert(file.clone());
                }
            }
            router.entries.push(entry);
        }
    }

    pub(crate) fn router_call(&mut self, router: usize, name: &str, given: &[Value], site: &Site<'_>) -> Value {
        let itself = Value::shaped(Shape::Router(router));
        let first = given.first().cloned().unwrap_or_default();
        let kind = self.routers.get(router).map_or(RouterKind::Express, |router| router.kind);
        match name {
            "use" => self.use_on(router, given),
            "route" if first.field("handler").is_some() => self.fastify_route(router, &first, site),
            "route" | "basePath" | "mount" => {
                let path = path_of(given.first());
                if let Some(Value { shape: Shape::Router(inner), .. }) = given.get(1) {
                    self.mount(router, path, *inner, Vec::new());
                    return itself;
                }
                let inner = self.new_router(kind, site, true);
                if let Shape::Router(inner) = inner.shape {
                    self.mount(router, path, inner, Vec::new());
                }
                return inner;
            }
            "prefix" => self.begin_with(router, &first),
            "register" => self.register(router, given, kind, site),
            "addHook" => {
                let handlers = given.iter().skip(1).cloned().collect();
                self.entry(router, Entry::Use { path: String::new(), handlers });
            }
            "on" => {
                let methods = texts(given.first());
                for method in methods {
                    self.route(router, &method, path_of(given.get(1)), given.get(2..).unwrap_or_default(), site);
                }
            }
            "openapi" => {
                let method =
                    first.field("method").and_then(|method| method.is_text().map(str::to_owned)).unwrap_or_default();
                let path = path_of(first.field("path").as_ref());
                self.route(router, &method, path, given.get(1..).unwrap_or_default(), site);
            }
            _ if METHODS.contains(&name) => {
                let has_path = given.first().is_some_and(|first| !texts(Some(first)).is_empty() || !is_handler(first));
                // `app.get('setting')` reads a setting.
                if has_path && given.len() < 2 {
                    return Value::default();
                }
                let handlers = if has_path { given.get(1..) } else { Some(given) }.unwrap_or_default();
                let paths = if has_path { texts(given.first()) } else { vec![String::new()] };
                let paths = if paths.is_empty() { vec!["*".to_owned()] } else { paths };
                for path in paths {
                    self.route(router, name, path, handlers, site);
                }
            }
            _ => {}
        }
        itself
    }

    fn route(&mut self, router: usize, method: &str, path: String, handlers: &[Value], site: &Site<'_>) {
        let method = match method {
            "all" | "any" => "ANY".to_owned(),
            "del" => "DELETE".to_owned(),
            method => method.to_uppercase(),
        };
        let mut flat = Vec::new();
        flatten(handlers, &mut flat);
        let flat = flat.into_iter().map(|handler| self.handler_of(handler)).collect();
        let name = site.written.last().cloned().unwrap_or_default();
        let module = Rc::clone(&site.frame.module);
        self.entry(router, Entry::Route { method, path, handlers: flat, module, span: site.span, name });
    }

    /// A file that is a handler as a whole: `module.exports = handler`.
    fn handler_of(&mut self, value: Value) -> Value {
        let Shape::Module(module) = &value.shape else { return value };
        self.export(&Rc::clone(module), "default").filter(Value::is_function).unwrap_or(value)
    }

    /// `functions.https.onRequest(handler)`, `onCall(handler)`: a server of one handler, whose path its export's name says.
    fn firebase(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let last = last_part(path);
        if !matches!(last, "onRequest" | "onCall") || !has_word(path, &["firebase", "functions", "https"]) {
            return None;
        }
        if let Some(router) = given.iter().find(|given| matches!(given.shape, Shape::Router(_))) {
            return Some(router.clone());
        }
        let handler = given.iter().find(|given| given.is_function())?;
        let kind = match last {
            "onRequest" => RouterKind::Served,
            _ if path.contains("/v2") => RouterKind::Called,
            _ => RouterKind::CalledWithContext,
        };
        let server = self.new_router(kind, site, false);
        if let Shape::Router(router) = server.shape {
            let method = if last == "onCall" { "post" } else { "any" };
            self.route(router, method, String::new(), std::slice::from_ref(handler), site);
        }
        Some(server)
    }

    /// `Deno.serve(handler)`: a server of one handler, whose path its folder says.
    fn served(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        if !(path == "Deno.serve" || path.ends_with("http/server.ts#serve")) {
            return None;
        }
        let handler = given.iter().find(|given| given.is_function())?;
        let file = &site.frame.module.facts.path;
        let folder = file.split("functions/").nth(1).and_then(|below| below.split('/').next()).unwrap_or_default();
        let path = if folder.is_empty() { String::new() } else { format!("/functions/v1/{folder}") };
        let server = self.new_router(RouterKind::Express, site, false);
        if let Shape::Router(router) = server.shape {
            self.route(router, "any", path, std::slice::from_ref(handler), site);
        }
        Some(server)
    }

    fn fastify_route(&mut self, router: usize, options: &Value, site: &Site<'_>) {
        let path = path_of(options.field("url").or_else(|| options.field("path")).as_ref());
        let mut handlers: Vec<Value> = ["onRequest", "preValidation", "preHandler", "handler"]
            .iter()
            .filter_map(|name| options.field(name))
            .collect();
        let methods = texts(options.field("method").as_ref());
        for method in methods {
            let handlers = std::mem::take(&mut handlers);
            self.route(router, &method, path.clone(), &handlers, site);
        }
    }

    fn use_on(&mut self, router: usize, given: &[Value]) {
        let has_path = given.first().is_some_and(|first| !texts(Some(first)).is_empty());
        let paths = if has_path { texts(given.first()) } else { vec![String::new()] };
        let mut flat = Vec::new();
        flatten(given.get(usize::from(has_path)..).unwrap_or_default(), &mut flat);
        for path in paths {
            let mut before = Vec::new();
            for handler in &flat {
                match &handler.shape {
                    Shape::Router(inner) => self.mount(router, path.clone(), *inner, before.clone()),
                    Shape::Module(module) => {
                        match self.export(&Rc::clone(module), "default").map(|value| value.shape) {
                            Some(Shape::Router(inner)) => self.mount(router, path.clone(), inner, before.clone()),
                            _ => before.push(handler.clone()),
                        }
                    }
                    // Koa's `router.routes()`.
                    _ => before.push(handler.clone()),
                }
            }
            let mounts = flat.iter().any(|handler| matches!(handler.shape, Shape::Router(_)));
            if !mounts {
                self.entry(router, Entry::Use { path, handlers: before });
            }
        }
    }

    fn mount(&mut self, router: usize, path: String, inner: usize, before: Vec<Value>) {
        if router == inner {
            return;
        }
        if let Some(inner) = self.routers.get_mut(inner) {
            inner.mounted = true;
        }
        self.entry(router, Entry::Mount { path, router: inner, before });
    }

    /// Fastify's plug-ins are functions that are given a router.
    fn register(&mut self, router: usize, given: &[Value], kind: RouterKind, site: &Site<'_>) {
        let Some(plugin) = given.first() else { return };
        let path = path_of(given.get(1).and_then(|options| options.field("prefix")).as_ref());
        let inner = self.new_router(kind, site, true);
        if let Shape::Router(id) = inner.shape {
            self.mount(router, path, id, Vec::new());
        }
        if plugin.is_function() {
            self.apply(plugin, vec![inner, Value::default(), Value::shaped(Shape::Next)], site.frame, site.span);
        }
    }

    /// Runs one handler or middleware of a route.
    pub(crate) fn handle(&mut self, function: &Value, given: Vec<Value>, frame: &Frame, span: Span) {
        match &function.shape {
            Shape::Function(closure) => {
                // Four parameters take errors.
                let params = closure.module.facts.functions.get(closure.id).map_or(0, |function| function.params.len());
                if params < 4 || given.len() < 3 {
                    self.apply(function, given, frame, span);
                }
            }
            Shape::Wrapped(..) => {
                self.apply(function, given, frame, span);
            }
            Shape::Module(module) => {
                if let Some(default) = self.export(&Rc::clone(module), "default").filter(Value::is_function) {
                    self.apply(&default, given, frame, span);
                }
            }
            Shape::List(list) => {
                let list = list.borrow().clone();
                for function in &list {
                    self.handle(function, given.clone(), frame, span);
                }
            }
            Shape::Foreign(path) => self.foreign_middleware(&path.clone(), frame, span),
            _ => {}
        }
    }

    fn foreign_middleware(&mut self, path: &str, frame: &Frame, span: Span) {
        let name = path.trim_end_matches("()");
        let last = last_part(name);
        if is_staff(last) {
            self.emit(EventKind::Staff, frame, span);
        }
        if matches!(last, "json" | "raw" | "text" | "urlencoded") && has_word(name, &["express", "parser", "body"]) {
            if self.run.body == BodyState::Unknown {
                match last {
                    "json" => self.run.body = BodyState::Parsed,
                    "raw" | "text" => self.run.body = BodyState::Raw,
                    _ => {}
                }
            }
        } else if is_session_name(last) || has_word(name, &["passport", "jwt", "clerk", "auth0"]) {
            self.emit(EventKind::Session, frame, span);
        } else if name.to_lowercase().contains("idempot") {
            self.emit(EventKind::Guarded, frame, span);
        } else if !is_harmless_package(name) {
            // A package's default has the package's name.
            let shown = if last == "default" { name.split('#').next().unwrap_or_default() } else { last };
            let name = shown.trim_start_matches('?').to_owned();
            self.emit(EventKind::Unfollowed { name, sees_request: true }, frame, span);
        }
    }

    /// What a router's handlers are given.
    pub(crate) fn given_by(kind: RouterKind) -> Vec<Value> {
        match kind {
            RouterKind::Express | RouterKind::NextConnect | RouterKind::Served => {
                vec![Value::shaped(Shape::Request), Value::shaped(Shape::Response(None)), Value::shaped(Shape::Next)]
            }
            RouterKind::Hono | RouterKind::Koa => vec![Value::shaped(Shape::Context), Value::shaped(Shape::Next)],
            RouterKind::Called | RouterKind::CalledWithContext => {
                let auth = Value { from: Origins::SESSION, ..Value::foreign("request.auth") };
                let request = Value::shaped(Shape::Request);
                let data = Value::parsed("body");
                let fields = [("auth", auth), ("rawRequest", request), ("data", data.clone())];
                let context = Value::object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
                if kind == RouterKind::Called { vec![context] } else { vec![data, context] }
            }
            RouterKind::Fastify => vec![Value::shaped(Shape::Request), Value::shaped(Shape::Response(None))],
        }
    }
}

fn is_handler(value: &Value) -> bool {
    value.is_function()
        || matches!(value.shape, Shape::List(_)) && texts(Some(value)).is_empty()
        || matches!(value.shape, Shape::Foreign(_))
}

fn flatten(given: &[Value], flat: &mut Vec<Value>) {
    for value in given {
        match &value.shape {
            Shape::List(list) => flat.extend(list.borrow().iter().cloned()),
            // Fastify's options hold hooks, and at times the handler.
            Shape::Object(object) if object.class.is_none() => {
                let object = object.fields.borrow();
                flat.extend(
                    ["onRequest", "preHandler", "preValidation", "handler"]
                        .iter()
                        .filter_map(|name| object.get(*name).cloned()),
                );
            }
            _ => flat.push(value.clone()),
        }
    }
}

fn path_of(value: Option<&Value>) -> String {
    value.and_then(|value| value.text.as_deref()).unwrap_or_default().to_owned()
}
