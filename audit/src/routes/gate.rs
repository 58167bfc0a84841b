//! Next.js's `middleware.ts`, which is `proxy.ts` since version 16: what it checks before the routes that its matcher covers.

use std::rc::Rc;

use super::handlers::ANY;
use crate::follow::{BodyState, Follower, Module, Run, Shape, Value, covers, has_word};
use crate::model::{Event, EventKind, Route, Span};

const ENDINGS: &[&str] = &["ts", "js", "mts", "mjs", "tsx", "jsx"];
/// Branchings of the gate have other numbers than those of the handler.
const APART: u32 = 1 << 24;

/// What is checked before a route. `folder` is the one from which the route's path is told: `app` or `pages`.
///
/// It stands beside that folder: elsewhere Next.js does not run it.
pub(super) fn checks(follower: &mut Follower<'_>, folder: &str, route: &Route) -> Vec<Event> {
    let full = format!("/{}", route.file);
    let Some((root, _)) = full.rsplit_once(&format!("/{folder}/")) else { return Vec::new() };
    let Some((module, gate)) = gate_of(follower, root.trim_start_matches('/')) else { return Vec::new() };
    if !is_covered(follower, &module, &route.path) {
        return Vec::new();
    }
    let mut run = Run::of((route.method != ANY).then_some(route.method.as_str()), BodyState::Unknown);
    run.path = Some(route.path.clone());
    let (function, given) = handed(gate);
    let run = follower.trace(run, &module, Span::default(), &[(function, given)]);
    run.events.into_iter().filter_map(check).collect()
}

fn gate_of(follower: &mut Follower<'_>, root: &str) -> Option<(Rc<Module>, Value)> {
    for name in ["proxy", "middleware"] {
        for ending in ENDINGS {
            let path = if root.is_empty() { format!("{name}.{ending}") } else { format!("{root}/{name}.{ending}") };
            if !follower.sources.exists(&path) {
                continue;
            }
            let module = follower.load(&path)?;
            let gate = follower.export(&module, name).or_else(|| follower.export(&module, "default"))?;
            return Some((module, gate));
        }
    }
    None
}

/// Whether `config.matcher` lets the gate run for a path; without one it runs for all.
fn is_covered(follower: &mut Follower<'_>, module: &Rc<Module>, path: &str) -> bool {
    let config = follower.export(module, "config").unwrap_or_default();
    let Some(matcher) = config.field("matcher") else { return true };
    match &matcher.shape {
        Shape::List(all) => all.borrow().iter().any(|one| is_matched(one, path)),
        _ => is_matched(&matcher, path),
    }
}

fn is_matched(matcher: &Value, path: &str) -> bool {
    let source = matcher.field("source");
    let text = source.as_ref().unwrap_or(matcher).is_text();
    text.is_none_or(|pattern| covers(pattern, path))
}

/// The gate, and what it is given. What Clerk and Auth.js make of a function checks no more than that function does.
fn handed(gate: Value) -> (Value, Vec<Value>) {
    let request = Value::shaped(Shape::Request);
    match &gate.shape {
        Shape::Wrapped(name, inner) => {
            let clerk = has_word(name, &["clerk"]);
            let plain = clerk || matches!(name.rsplit('.').next(), Some("auth"));
            let function = inner.iter().find(|inner| inner.is_function()).cloned().filter(|_| plain);
            let given = if clerk { vec![Value::foreign("@clerk/nextjs/server#auth"), request] } else { vec![request] };
            (function.unwrap_or(gate), given)
        }
        // It reads who is signed in, and refuses no caller.
        Shape::Foreign(path) if path.contains("clerkMiddleware") => (Value::default(), Vec::new()),
        _ => (gate, vec![request]),
    }
}

/// What of the gate counts for a route: checks, and calls that may establish who asks. What it writes and answers is its own.
fn check(mut event: Event) -> Option<Event> {
    match &mut event.kind {
        EventKind::Unfollowed { sees_request, .. } => *sees_request = false,
        EventKind::Write(_) | EventKind::ProviderWrite(_) | EventKind::ProviderRead { .. } => return None,
        EventKind::Answer(answer) if !answer.replayed => return None,
        _ => {}
    }
    for (branching, _) in &mut event.branches {
        *branching = branching.saturating_add(APART);
    }
    Some(event)
}
