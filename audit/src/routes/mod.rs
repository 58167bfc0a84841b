//! Routes: what declares them, and what runs for each.

mod gate;
mod handlers;
mod next;
mod registered;
mod serverless;

use crate::follow::{Follower, Run};
use crate::model::Route;

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
        let (one, two) = (&one.route, &two.route);
        (&one.file, one.span.line, one.span.column, &one.method).cmp(&(
            &two.file,
            two.span.line,
            two.span.column,
            &two.method,
        ))
    });
    found
}
