//! Items: `use`, `mod`, functions, types with their methods, constants.

use tree_sitter::Node;

use crate::model::{Class, Export, Expr, Pattern, Step};
use crate::parse::{HasRoles, Role};

use super::extractors;
use super::lowering::{Lowering, children};

impl Lowering<'_> {
    /// The whole file.
    pub(super) fn file(&mut self, root: Node<'_>) {
        // Names first, since they may be used above where they are bound.
        let items = children(root);
        for item in &items {
            match item.kind() {
                "use_declaration" => {
                    if let Some(argument) = item.child_as(Role::Argument) {
                        self.public = children(*item).iter().any(|child| child.kind() == "visibility_modifier");
                        self.used(argument, &[]);
                        self.public = false;
                    }
                }
                "mod_item" if item.child_as(Role::Body).is_none() => self.declared(*item),
                _ => {}
            }
        }
        self.items(&items);
        let body = std::mem::take(&mut self.pending);
        self.facts.body.extend(body);
    }

    fn items(&mut self, items: &[Node<'_>]) {
        let mut is_test = false;
        for item in items {
            if item.kind() == "attribute_item" {
                let text = self.text_of(*item);
                is_test |= text.contains("cfg(test)") || text.contains("::test]") || text == "#[test]";
                continue;
            }
            if !std::mem::take(&mut is_test) {
                self.item(*item);
            }
        }
    }

    /// An item, in a file or in a block.
    pub(super) fn item(&mut self, item: Node<'_>) {
        let name = item.child_as(Role::Name).map(|name| self.text_of(name).to_owned()).unwrap_or_default();
        match item.kind() {
            "function_item" => {
                let id = self.function(item, &name);
                self.facts.body.push(Step::Function(name.clone(), id));
                self.facts.exports.push(Export::Local { name: name.clone(), local: name });
            }
            "impl_item" | "trait_item" => self.methods(item),
            "struct_item" => self.fields(item, &name),
            "mod_item" => {
                if let Some(body) = item.child_as(Role::Body) {
                    self.nested(item, |lowering| lowering.items(&children(body)));
                }
            }
            "const_item" | "static_item" => {
                if let Some(value) = item.child_as(Role::Value) {
                    let span = self.span(item);
                    let value = self.value(value);
                    let pending = std::mem::take(&mut self.pending);
                    self.facts.body.extend(pending);
                    self.facts.body.push(Step::Let(Pattern::Name(name.clone(), span), Some(value), span));
                    self.facts.exports.push(Export::Local { name: name.clone(), local: name });
                }
            }
            _ => {}
        }
    }

    /// A type's fields, with their types: what a value of it holds.
    fn fields(&mut self, item: Node<'_>, name: &str) {
        let body = item.child_as(Role::Body).map(children).unwrap_or_default();
        let fields = body.into_iter().filter(|field| field.kind() == "field_declaration");
        let fields = fields.filter_map(|field| {
            let (name, of) = (field.child_as(Role::Name)?, field.child_as(Role::Type)?);
            Some((self.text_of(name).to_owned(), extractors::inner_type(self.text_of(of)).to_owned()))
        });
        let fields: Vec<(String, String)> = fields.collect();
        self.class(name).injected = fields;
    }

    /// The class of a type's name. It is made where it is first met.
    fn class(&mut self, name: &str) -> &mut Class {
        let known = self.facts.classes.iter().position(|class| class.name == name);
        let at = known.unwrap_or_else(|| {
            let id = self.facts.classes.len();
            self.facts.classes.push(Class { name: name.to_owned(), ..Class::default() });
            self.facts.body.insert(0, Step::Class(name.to_owned(), id));
            self.facts.exports.push(Export::Local { name: name.to_owned(), local: name.to_owned() });
            id
        });
        #[allow(clippy::indexing_slicing, reason = "it was found or added above")]
        &mut self.facts.classes[at]
    }

    fn methods(&mut self, item: Node<'_>) {
        let Some(body) = item.child_as(Role::Body) else { return };
        let of = item.child_as(Role::Type).or_else(|| item.child_as(Role::Name));
        let name = of.map(|of| extractors::head(self.text_of(of)).to_owned()).unwrap_or_default();
        let outer = self.own_type.replace(name.clone());
        for method in children(body) {
            if method.kind() != "function_item" {
                continue;
            }
            let Some(own) = method.child_as(Role::Name).map(|own| self.text_of(own).to_owned()) else {
                continue;
            };
            let id = self.function(method, &own);
            let parameters = method.child_as(Role::Parameters).map(children).unwrap_or_default();
            let is_method = parameters.iter().any(|parameter| parameter.kind() == "self_parameter");
            let class = self.class(&name);
            if is_method {
                class.methods.push((own, id));
            } else {
                class.statics.push((own, Expr::Function(id)));
            }
        }
        self.own_type = outer;
    }

    /// `mod name;`
    fn declared(&mut self, item: Node<'_>) {
        let Some(name) = item.child_as(Role::Name).map(|name| self.text_of(name).to_owned()) else { return };
        let path = self.modules.declared(&name);
        self.modules.names.insert(name.clone(), path.clone());
        self.bind(name, &path, item);
    }

    /// A `use` and what is in it.
    fn used(&mut self, node: Node<'_>, prefix: &[String]) {
        let joined = |more: Vec<String>| prefix.iter().cloned().chain(more).collect::<Vec<_>>();
        match node.kind() {
            "scoped_use_list" => {
                let path = node.child_as(Role::Path).map(|path| self.path(path)).unwrap_or_default();
                if let Some(list) = node.child_as(Role::List) {
                    self.nested(node, |lowering| lowering.used(list, &joined(path)));
                }
            }
            "use_list" => {
                for child in children(node) {
                    self.nested(node, |lowering| lowering.used(child, prefix));
                }
            }
            "use_as_clause" => {
                let path = node.child_as(Role::Path).map(|path| self.path(path)).unwrap_or_default();
                let alias = node.child_as(Role::Alias).map(|alias| self.text_of(alias).to_owned());
                if let Some(alias) = alias {
                    self.bound(alias, &joined(path), node);
                }
            }
            "use_wildcard" => {
                let path = children(node).first().map(|path| self.path(*path)).unwrap_or_default();
                let path = joined(path);
                if let Some(found) = self.modules.absolute(&path).and_then(|path| self.found(&path)) {
                    if self.public {
                        self.facts.exports.push(Export::All { from: format!("/{}", found.file) });
                    }
                    self.globs.push(found);
                }
            }
            _ => {
                let mut path = joined(self.path(node));
                // `{self, …}` is the path itself.
                if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                if let Some(name) = path.last().cloned() {
                    self.bound(name, &path, node);
                }
            }
        }
    }

    fn bound(&mut self, name: String, written: &[String], node: Node<'_>) {
        self.payproof |= written.first().is_some_and(|first| first == "payproof");
        if written.first().is_some_and(|first| first == "jsonwebtoken" || first.contains("stripe")) {
            self.modules.crates.insert(name, written.to_vec());
            return;
        }
        let Some(path) = self.modules.absolute(written) else { return };
        self.modules.names.insert(name.clone(), path.clone());
        self.bind(name, &path, node);
    }

    fn bind(&mut self, name: String, path: &[String], node: Node<'_>) {
        let span = self.span(node);
        if let Some(found) = self.found(path) {
            // A name of this file's own needs no import.
            if found.file != self.facts.path {
                let original = found.rest.first().cloned().unwrap_or_else(|| "*".to_owned());
                let from = format!("/{}", found.file);
                if self.public || node.kind() == "mod_item" {
                    self.facts.exports.push(Export::From { name: name.clone(), original, from });
                }
                self.import(name, &found, span);
            }
        }
    }

    /// The parts of a path.
    pub(super) fn path(&self, node: Node<'_>) -> Vec<String> {
        let text = self.text_of(node);
        let mut depth = 0_usize;
        let kept = text.chars().filter(|c| {
            match c {
                '<' => depth = depth.saturating_add(1),
                '>' => depth = depth.saturating_sub(1),
                _ => return depth == 0 && !c.is_whitespace(),
            }
            false
        });
        let kept: String = kept.collect();
        kept.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}
