//! From files to findings.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;

use crate::follow::{Follower, Packages, Schemas};
use crate::model::{Finding, Names, Route, Sources};
use crate::routes::{self, Followed, Found};
use crate::rules::{self, Shapes};
use crate::threads;

/// So many files are judged by one follower, which then lets go of all that it knows. Those that they stand on are evaluated anew
/// by the next one.
const TOGETHER: usize = 64;

/// Handlers are followed through functions in functions, each of which may be nested.
const STACK: usize = 256 << 20;

/// What the audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Every route, in the order of files and lines.
    pub routes: Vec<Route>,
    /// Every finding, by path, line and rule.
    pub findings: Vec<Finding>,
}

/// What is judged, and by which names.
#[derive(Clone, Copy)]
struct Tree<'t> {
    sources: &'t dyn Sources,
    names: &'t Names,
    packages: &'t Packages,
    schemas: &'t Schemas,
}

/// What is said of one route.
struct Told {
    route: Route,
    findings: Vec<Finding>,
    shapes: Shapes,
}

/// What is said of some files' routes.
#[derive(Default)]
struct Part {
    told: Vec<Told>,
    /// Files that declare or handle these routes.
    files: HashSet<String>,
    /// Files that were not judged, since others may have a part in their routes.
    left: Vec<String>,
}

/// Judges every route that one of `candidates` declares: paths of files that may hold routes.
///
/// # Errors
/// If the system gives no threads.
pub fn judge(sources: &dyn Sources, candidates: &[String], names: &Names) -> io::Result<Judged> {
    let mut candidates = candidates.to_vec();
    candidates.sort();
    let tree = Tree { sources, names, packages: &Packages::of(sources), schemas: &Schemas::default() };
    let parts: Vec<&[String]> = candidates.chunks(TOGETHER).collect();
    let parts = threads::each(&parts, STACK, &|part| by_themselves(tree, part))?;
    let (mut told, mut files, mut left) = (Vec::new(), HashSet::new(), Vec::new());
    for part in parts {
        told.extend(part.told);
        files.extend(part.files);
        left.extend(part.left);
    }
    let last = threads::each(&[left], STACK, &|left| together(tree, left, &files))?;
    told.extend(last.into_iter().flatten());
    let mut judged = sorted(told, names);
    add_statements(sources, &mut judged.findings);
    Ok(judged)
}

/// Judges the files whose routes are their own. How the others are put together only all of them say.
fn by_themselves(tree: Tree<'_>, candidates: &[String]) -> Part {
    let told = RefCell::new(Vec::new());
    let take = |followed: Followed| told.borrow_mut().push(tree.say(&followed));
    let mut found = Found::new(&take, HashSet::new());
    let mut follower = tree.follower();
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for path in candidates {
        let before = found.count();
        if tree.sources.facts(path).is_some_and(|facts| routes::are_own(&facts)) {
            routes::own(&mut follower, path, &mut found);
        }
        if follower.has_routers() {
            return Part { left: candidates.to_vec(), ..Part::default() };
        }
        if found.count() == before {
            left.push(path.clone());
        } else {
            done.push(path);
        }
    }
    drop(follower);
    let files = found.into_files();
    for path in done {
        tree.sources.let_go(path);
    }
    Part { told: told.into_inner(), files, left }
}

/// Judges files that may have a part in each other's routes. `files` have routes that are judged already.
fn together(tree: Tree<'_>, candidates: &[String], files: &HashSet<String>) -> Vec<Told> {
    let told = RefCell::new(Vec::new());
    let take = |followed: Followed| told.borrow_mut().push(tree.say(&followed));
    routes::all(&mut tree.follower(), candidates, &mut Found::new(&take, files.clone()));
    told.into_inner()
}

impl<'t> Tree<'t> {
    fn follower(self) -> Follower<'t> {
        Follower::new(self.sources, self.packages, self.schemas, self.names)
    }

    fn say(self, followed: &Followed) -> Told {
        let (findings, shapes) = rules::judge(followed, self.names);
        Told { route: followed.route.clone(), findings, shapes }
    }
}

fn sorted(mut told: Vec<Told>, names: &Names) -> Judged {
    told.sort_by(|one, other| one.route.place().cmp(&other.route.place()));
    let shapes = told.iter().fold(Shapes::default(), |shapes, told| shapes.and(told.shapes));
    let envelope = names.envelope.unwrap_or_else(|| shapes.is_common());
    let mut judged = Judged::default();
    for told in told {
        judged.routes.push(told.route);
        judged
            .findings
            .extend(told.findings.into_iter().filter(|finding| envelope || !rules::is_of_style(finding.rule)));
    }
    judged.findings.sort_by(|one, other| one.place().cmp(&other.place()));
    judged.findings.dedup();
    judged
}

/// Tells each finding with the source of its line. They are sorted, so that each file is read once.
fn add_statements(sources: &dyn Sources, findings: &mut [Finding]) {
    for of_file in findings.chunk_by_mut(|one, two| one.path == two.path) {
        let text = of_file.first().and_then(|finding| sources.text(&finding.path)).unwrap_or_default();
        let mut lines = (1..).zip(text.lines()).peekable();
        for finding in of_file {
            while lines.next_if(|(line, _)| *line < finding.line).is_some() {}
            let line = lines.peek().filter(|(line, _)| *line == finding.line);
            finding.statement = line.map(|(_, text)| text.trim().to_owned()).unwrap_or_default();
        }
    }
}
