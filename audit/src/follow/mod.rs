//! Follows a handler through the functions it calls, and yields its events in the order of evaluation.
//!
//! Code is evaluated without being executed: a value is where it comes from and what it is, both arms of a branch are taken, and
//! a loop runs once. A call into the tree is followed; one that leaves it is known by its name, or told as not followed.
#![allow(
    clippy::unused_self,
    reason = "what knows a kind of call has one form, whether it looks at the follower or not"
)]

mod answers;
mod arrays;
mod branches;
mod calls;
mod compare;
mod expressions;
mod frame;
mod frameworks;
mod functions;
mod harmless;
mod mail;
mod matcher;
mod members;
mod modules;
mod origins;
mod paths;
mod patterns;
mod payproof;
mod provider;
mod requests;
mod resolve;
mod routers;
mod security;
mod sessions;
mod sql;
mod steps;
mod storage;
mod value;
mod words;
mod written;

pub(crate) use matcher::covers;
pub(crate) use resolve::{Packages, folder_of};
pub(crate) use routers::{Entry, RouterKind, RouterValue};
pub(crate) use storage::Schemas;
pub(crate) use value::{Module, Shape, Value};
pub(crate) use words::has_word;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::{Rc, Weak};

use self::frame::Frame;
use self::origins::Origins;
use self::resolve::Resolver;
use self::value::{Holds, Scope};
use crate::model::{Event, EventKind, Expr, Names, Sources, Span};

/// Calls into each other that are followed.
const DEEPEST_CALL: usize = 8;
/// Expressions that are evaluated for one handler. A real one takes some thousand.
const MOST_STEPS: u32 = 60_000;

/// Follows handlers. Files are loaded once.
pub(crate) struct Follower<'s> {
    pub(crate) sources: &'s dyn Sources,
    pub(crate) names: &'s Names,
    modules: HashMap<String, Option<Rc<Module>>>,
    resolver: Resolver<'s>,
    pub(crate) routers: Vec<RouterValue>,
    schemas: &'s Schemas,
    /// Files that made a router on which something is registered, or one of whose functions registered a route.
    pub(crate) registering: HashSet<String>,
    /// What may hold itself.
    holders: Vec<Weak<dyn Holds>>,
    pub(crate) run: Run,
}

/// One handler's evaluation.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) events: Vec<Event>,
    /// What each branching was decided by.
    pub(crate) conditions: Vec<Condition>,
    /// Methods that the handler itself asks for.
    pub(crate) mentions: BTreeSet<String>,
    /// A webhook's header with a signature was read.
    pub(crate) signature_read: bool,
    /// The method it is evaluated for, if that is settled.
    pub(crate) method: Option<String>,
    pub(crate) body: BodyState,
    /// The path it is evaluated for, where that decides what is checked.
    pub(crate) path: Option<String>,
    /// The file of the function that was given request and response last: the handler, behind its wrappers and middleware.
    pub(crate) home: Option<String>,
    /// A layer of idempotent endpoints stands around it.
    pub(crate) guarded: bool,
    branches: Vec<(u32, u32)>,
    trail: Vec<(String, Span)>,
    stack: Vec<(String, usize)>,
    repeated: u32,
    steps: u32,
    /// A module is being loaded: what it does is no event, and closures live on.
    loading: bool,
    scopes: Vec<Rc<Scope>>,
    /// What middleware put into the request.
    request_fields: HashMap<String, Value>,
    /// How many events there were when middleware went on to the next one.
    went_on: Option<usize>,
    /// What middleware put in the place of methods of the response, or asked to be called when it is sent.
    answered_by: Vec<(String, Value)>,
    /// Places of the request that were compared with something stored.
    compared: BTreeSet<Rc<str>>,
    /// Fields that were assigned to a document before it is saved.
    assigned: HashMap<String, Vec<(String, Value)>>,
}

/// What a branching was decided by.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) from: Origins,
    pub(crate) places: Vec<Rc<str>>,
}

/// What was done with the body before anything asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BodyState {
    /// Not known.
    #[default]
    Unknown,
    /// Its bytes are there.
    Raw,
    /// It was parsed.
    Parsed,
}

impl Run {
    fn loading() -> Self {
        Self { loading: true, ..Self::default() }
    }

    pub(crate) fn of(method: Option<&str>, body: BodyState) -> Self {
        Self { method: method.map(str::to_owned), body, ..Self::default() }
    }
}

impl<'s> Follower<'s> {
    pub(crate) fn new(
        sources: &'s dyn Sources,
        packages: &'s Packages,
        schemas: &'s Schemas,
        names: &'s Names,
    ) -> Self {
        Self {
            sources,
            names,
            modules: HashMap::new(),
            resolver: Resolver::new(sources, packages),
            routers: Vec::new(),
            schemas,
            registering: HashSet::new(),
            holders: Vec::new(),
            run: Run::default(),
        }
    }

    /// Whether a router was made that other files may register routes on.
    pub(crate) fn has_routers(&self) -> bool {
        self.routers.iter().any(|router| router.kind != RouterKind::NextConnect)
    }

    /// Runs functions one after the other with the same arguments, and yields what happened.
    pub(crate) fn trace(
        &mut self,
        run: Run,
        module: &Rc<Module>,
        span: Span,
        functions: &[(Value, Vec<Value>)],
    ) -> Run {
        self.run = run;
        let frame = Frame::top(module);
        if self.run.guarded {
            self.emit(EventKind::Guarded, &frame, span);
        }
        // What middleware does after it went on to the next one happens when that one is through.
        let mut later = Vec::new();
        for (function, given) in functions {
            self.run.went_on = None;
            self.handle(function, given.clone(), &frame, span);
            if let Some(at) = self.run.went_on.filter(|at| *at < self.run.events.len()) {
                later.push(self.run.events.split_off(at));
            }
        }
        self.run.events.extend(later.into_iter().rev().flatten());
        let mut run = std::mem::take(&mut self.run);
        run.events.shrink_to_fit();
        for scope in &run.scopes {
            scope.clear();
        }
        // The rules read events; values that nothing asks for any more would be kept for every route.
        Run {
            events: run.events,
            mentions: run.mentions,
            signature_read: run.signature_read,
            home: run.home,
            ..Run::default()
        }
    }

    /// Evaluates an expression at the top of a file.
    pub(crate) fn value_in(&mut self, module: &Rc<Module>, expr: &Expr) -> Value {
        self.loading(|follower| follower.expr(expr, &Frame::top(module)))
    }

    /// Runs a function as if the file had called it when it was loaded.
    pub(crate) fn load_with(&mut self, module: &Rc<Module>, function: &Value, given: Vec<Value>) {
        self.loading(|follower| follower.apply(function, given, &Frame::top(module), Span::default()));
    }

    pub(crate) fn emit(&mut self, mut kind: EventKind, frame: &Frame, span: Span) {
        if self.run.loading {
            return;
        }
        if let EventKind::Verify { everywhere, .. } = &mut kind {
            *everywhere &= !self.depends_on(Origins::STAGE);
        }
        let event = Event {
            kind,
            file: frame.module.facts.path.clone(),
            span,
            branches: self.run.branches.clone(),
            trail: self.run.trail.clone(),
            repeated: self.run.repeated > 0,
        };
        self.run.events.push(event);
    }

    /// Names of a block. They are let go of when the handler is through.
    fn inner_scope(&mut self, outer: &Rc<Scope>) -> Rc<Scope> {
        let scope = Scope::inside(outer);
        if self.run.loading {
            self.holds(&scope);
        } else {
            self.run.scopes.push(Rc::clone(&scope));
        }
        scope
    }

    /// Remembers what has to let go of its values in the end.
    fn holds<T: Holds + 'static>(&mut self, holder: &Rc<T>) {
        let holder: Weak<T> = Rc::downgrade(holder);
        self.holders.push(holder);
    }

    /// Whether there is something left to spend on this handler.
    fn may_go_on(&mut self) -> bool {
        self.run.steps = self.run.steps.saturating_add(1);
        self.run.steps < MOST_STEPS
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        for module in self.modules.values().flatten() {
            module.clear();
        }
        for holder in self.holders.iter().filter_map(Weak::upgrade) {
            holder.clear();
        }
    }
}
