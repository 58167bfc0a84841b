//! Puts the routers of all files together: a route's whole path, and every layer around it, wherever that was added.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Expr, FileFacts, Import, Imported, RouteFact, Span};

use super::ReadFile;
use super::routers::{Layer, MethodRoute, Piece, Router, RouterFunction, RouterRef, bare};

/// Routers in routers. Real ones have three or four.
const DEEPEST: usize = 16;

/// Routes of a tree. More are those of a circle.
const MOST_ROUTES: usize = 20_000;

/// A function by its file and name.
type Place = (String, String);

/// Gives each route to the file that declares it.
pub(crate) fn compose(files: Vec<ReadFile>) -> Vec<FileFacts> {
    let mut facts: BTreeMap<String, FileFacts> = BTreeMap::new();
    let mut functions: BTreeMap<Place, RouterFunction> = BTreeMap::new();
    for file in files {
        for function in file.routers {
            functions.insert((file.facts.path.clone(), function.name.clone()), function);
        }
        facts.insert(file.facts.path.clone(), file.facts);
    }
    let composing = Composing { facts: &facts, functions: &functions };
    let mut used = BTreeSet::new();
    for ((file, _), function) in &functions {
        for router in &function.routers {
            composing.uses(file, router, &mut used, DEEPEST);
        }
    }
    let mut found = Vec::new();
    for (place, function) in &functions {
        if !used.contains(place) {
            for router in &function.routers {
                composing.router(&place.0, router, "", &[], &mut found, DEEPEST);
            }
        }
    }
    for (file, route, layers) in found {
        let (before, guarded, imports) = placed(&file, &layers, &facts);
        if let Some(facts) = facts.get_mut(&file) {
            let known = |import: &Import| facts.imports.iter().any(|known| known.local == import.local);
            let new: Vec<Import> = imports.into_iter().filter(|import| !known(import)).collect();
            facts.imports.extend(new);
            let MethodRoute { method, path, handler, span, .. } = route;
            facts.routes.push(RouteFact { method, path, handler, before, guarded, span });
        }
    }
    gather(&mut facts);
    facts.into_values().collect()
}

/// Gives each type the methods that other files add to it: the type's class, where its fields are declared, extends the first
/// file's class of that name, which extends the next one's.
fn gather(facts: &mut BTreeMap<String, FileFacts>) {
    let mut parts: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for (file, held) in &*facts {
        for class in &held.classes {
            let imported = held.imports.iter().find(|import| import.local == class.name);
            if let Some(import) = imported
                && let Imported::Named(original) = &import.what
                && let Some(home) = import.from.strip_prefix('/')
            {
                parts.entry((home.to_owned(), original.clone())).or_default().push(file.clone());
            }
        }
    }
    for ((home, name), files) in parts {
        let mut at = home;
        for file in files {
            let local = format!("{file}::{name}");
            let Some(held) = facts.get_mut(&at) else { break };
            let Some(class) = held.classes.iter_mut().find(|class| class.name == name) else { break };
            class.extends = Some(Expr::Name(local.clone(), Span::default()));
            let (what, from) = (Imported::Named(name.clone()), format!("/{file}"));
            held.imports.push(Import { local, what, from, span: Span::default() });
            at = file;
        }
    }
}

/// A layer, and the file that adds it.
type PlacedLayer = (String, Layer);

struct Composing<'f> {
    facts: &'f BTreeMap<String, FileFacts>,
    functions: &'f BTreeMap<Place, RouterFunction>,
}

impl Composing<'_> {
    /// The functions whose routers this one takes.
    fn uses(&self, file: &str, router: &Router, used: &mut BTreeSet<Place>, left: usize) {
        let Some(left) = left.checked_sub(1) else { return };
        for piece in &router.pieces {
            match piece {
                Piece::Router(_, RouterRef::By(value)) => used.extend(self.function(file, value)),
                Piece::Router(_, RouterRef::Here(inner)) => self.uses(file, inner, used, left),
                _ => {}
            }
        }
    }

    /// Every route of a router, under a path and inside of layers.
    fn router(
        &self,
        file: &str,
        router: &Router,
        prefix: &str,
        outer: &[PlacedLayer],
        found: &mut Vec<(String, MethodRoute, Vec<PlacedLayer>)>,
        left: usize,
    ) {
        let Some(left) = left.checked_sub(1) else { return };
        for (at, piece) in router.pieces.iter().enumerate() {
            if found.len() >= MOST_ROUTES {
                return;
            }
            // What is added later lies further outside, and the request meets it earlier.
            let later = router.pieces.get(at..).unwrap_or_default().iter().rev().filter_map(|piece| match piece {
                Piece::Layer(layers) => Some(layers),
                _ => None,
            });
            let later = later.flatten().map(|layer| (file.to_owned(), layer.clone()));
            let layers: Vec<PlacedLayer> = outer.iter().cloned().chain(later).collect();
            match piece {
                Piece::Route(route) => {
                    let own = route.layers.iter().map(|layer| (file.to_owned(), layer.clone()));
                    let layers = layers.into_iter().chain(own).collect();
                    let path = joined(prefix, &route.path);
                    found.push((file.to_owned(), MethodRoute { path, ..route.clone() }, layers));
                }
                Piece::Router(path, RouterRef::Here(inner)) => {
                    self.router(file, inner, &joined(prefix, path), &layers, found, left);
                }
                Piece::Router(path, RouterRef::By(value)) => {
                    if let Some(place) = self.function(file, value)
                        && let Some(function) = self.functions.get(&place)
                    {
                        for inner in &function.routers {
                            self.router(&place.0, inner, &joined(prefix, path), &layers, found, left);
                        }
                    }
                }
                Piece::Layer(_) => {}
            }
        }
    }

    /// The function that a call names: of this file, of an imported one, or the only one of its name.
    fn function(&self, file: &str, value: &Expr) -> Option<Place> {
        let Expr::Call(call) = bare(value) else { return None };
        let place = self.facts.get(file).and_then(|facts| place_of(facts, &call.callee));
        place.filter(|place| self.functions.contains_key(place)).or_else(|| {
            let name = super::routers::last_name(&call.callee);
            let mut same = self.functions.keys().filter(|(_, known)| known == name);
            let only = same.next();
            only.filter(|_| same.next().is_none()).cloned()
        })
    }
}

/// The file and the name of what a name in a file stands for.
fn place_of(facts: &FileFacts, value: &Expr) -> Option<Place> {
    let import = |name: &str| facts.imports.iter().find(|import| import.local == name);
    let file = |import: &Import| import.from.strip_prefix('/').map(str::to_owned);
    match bare(value) {
        Expr::Name(name, _) => match import(name) {
            Some(import) => match &import.what {
                Imported::Named(original) => Some((file(import)?, original.clone())),
                _ => None,
            },
            None => Some((facts.path.clone(), name.clone())),
        },
        Expr::Member(object, name, _) => match bare(object) {
            Expr::Name(module, _) => {
                let import = import(module)?;
                (import.what == Imported::All).then(|| file(import)).flatten().map(|file| (file, name.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A route's layers as the route's file sees them: what another file's layer runs is imported under a name of its own.
fn placed(file: &str, layers: &[PlacedLayer], facts: &BTreeMap<String, FileFacts>) -> (Vec<Expr>, bool, Vec<Import>) {
    let (mut before, mut guarded, mut imports) = (Vec::new(), false, Vec::new());
    for (of, layer) in layers {
        match layer {
            Layer::Guard => guarded = true,
            Layer::Before(value) if of == file => before.push(value.clone()),
            Layer::Before(value) => match facts.get(of).and_then(|facts| place_of(facts, value)) {
                Some((from, name)) => {
                    let local = format!("{from}::{name}");
                    let (what, from) = (Imported::Named(name), format!("/{from}"));
                    imports.push(Import { local: local.clone(), what, from, span: Span::default() });
                    before.push(Expr::Name(local, Span::default()));
                }
                None => before.push(Expr::Name(super::routers::last_name(value).to_owned(), Span::default())),
            },
        }
    }
    (before, guarded, imports)
}

fn joined(prefix: &str, path: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    match path {
        "" | "/" if !prefix.is_empty() => prefix.to_owned(),
        "" if prefix.is_empty() => String::new(),
        path => format!("{prefix}{path}"),
    }
}
