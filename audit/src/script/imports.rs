//! What a file takes from others.

use tree_sitter::Node;

use super::{Reader, has_token, named};
use crate::model::{Import, Imported};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    pub(super) fn import(&mut self, node: Node<'t>) {
        // Types have no code.
        if has_token(node, "type") {
            return;
        }
        let clause =
            named(node).into_iter().find(|child| matches!(child.kind(), "import_clause" | "import_require_clause"));
        let holder = clause.filter(|clause| clause.kind() == "import_require_clause").unwrap_or(node);
        let Some(from) = holder.child_as(Role::Source).map(|source| self.string(source)) else {
            return;
        };
        let Some(clause) = clause else {
            let span = self.span(node);
            self.facts.imports.push(Import { local: String::new(), what: Imported::Nothing, from, span });
            return;
        };
        for child in named(clause) {
            match child.kind() {
                "identifier" if clause.kind() == "import_require_clause" => self.imported(child, Imported::All, &from),
                "identifier" => self.imported(child, Imported::Named("default".to_owned()), &from),
                "namespace_import" => {
                    if let Some(name) = named(child).first() {
                        self.imported(*name, Imported::All, &from);
                    }
                }
                "named_imports" => {
                    for item in named(child).into_iter().filter(|item| item.kind() == "import_specifier") {
                        let Some(name) = item.child_as(Role::Name) else { continue };
                        let local = item.child_as(Role::Alias).unwrap_or(name);
                        self.imported(local, Imported::Named(self.key(name)), &from);
                    }
                }
                _ => {}
            }
        }
    }

    fn imported(&mut self, local: Node<'t>, what: Imported, from: &str) {
        let span = self.span(local);
        self.facts.imports.push(Import { local: self.of(local).to_owned(), what, from: from.to_owned(), span });
    }
}
