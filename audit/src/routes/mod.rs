//! Routes: what declares them, and what runs for each.

mod exported;
mod gate;
mod handlers;
mod next;
mod registered;
mod serverless;

use std::collections::HashSet;
use std::rc::Rc;

use crate::follow::{Follower, Module, Run};
use crate::model::{FileFacts, Language, Route};

/// A route with what happened when it was followed.
pub(crate) struct Followed {
    pub(crate) route: Route,
    /// The file that the handler itself stands in.
    pub(crate) home: String,
    pub(crate) run: Run,
    /// It is a server action, which has no headers of its own.
    pub(crate) action: bool,
    /// How many of its events are of what stands before all handlers, and not of this one.
    pub(crate) ahead: usize,
}

/// Takes each route as soon as it was followed: what happened there is much, and what is said of it is little.
pub(crate) struct Found<'t> {
    take: &'t dyn Fn(Followed),
    /// Files that declare or handle a route.
    files: HashSet<String>,
    count: usize,
}

impl<'t> Found<'t> {
    /// `files` have routes that were found before.
    pub(crate) fn new(take: &'t dyn Fn(Followed), files: HashSet<String>) -> Self {
        Self { take, files, count: 0 }
    }

    fn push(&mut self, followed: Followed) {
        self.count = self.count.saturating_add(1);
        for file in [&followed.route.file, &followed.home] {
            if !self.files.contains(file) {
                self.files.insert(file.clone());
            }
        }
        (self.take)(followed);
    }

    /// How many routes there were so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Files that declare or handle one of them.
    pub(crate) fn into_files(self) -> HashSet<String> {
        self.files
    }
}

/// Whether a file's routes are its own, by its name or as actions, so that no other file need be asked for them.
pub(crate) fn are_own(facts: &FileFacts) -> bool {
    facts.language == Language::Script
        && (next::is_app_route(&facts.path) || next::is_pages_route(&facts.path) || next::has_actions(facts))
}

/// Routes that the file's name declares, and its actions.
pub(crate) fn own(follower: &mut Follower<'_>, path: &str, found: &mut Found<'_>) -> Option<Rc<Module>> {
    let module = follower.load(path)?;
    if next::is_app_route(path) {
        next::app_routes(follower, &module, found);
    } else if next::is_pages_route(path) {
        next::pages_route(follower, &module, found);
    }
    exported::routes(follower, &module, found);
    next::actions(follower, &module, found);
    Some(module)
}

/// Every route that one of the files declares.
pub(crate) fn all(follower: &mut Follower<'_>, candidates: &[String], found: &mut Found<'_>) {
    let loaded: Vec<Rc<Module>> = candidates.iter().filter_map(|path| own(follower, path, found)).collect();
    registered::declared(follower, &loaded, found);
    registered::routes(follower, &loaded, found);
    serverless::routes(follower, &loaded, found);
}
