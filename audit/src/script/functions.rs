//! Functions and what they are given.

use tree_sitter::Node;

use super::{Reader, named};
use crate::model::{Function, FunctionId, Param, ParamKind, Pattern, Step};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    /// Reads a function of any form; `name` is what it was given to, where it has none of its own.
    pub(super) fn function(&mut self, node: Node<'t>, name: &str) -> FunctionId {
        let own = node.child_as(Role::Name).map(|own| self.key(own)).unwrap_or_default();
        let name = if own.is_empty() { name.to_owned() } else { own };
        // Its place is taken first, so that functions are in the order of the source.
        let id = self.facts.functions.len();
        self.facts.functions.push(Function::default());
        let top = std::mem::replace(&mut self.top, false);
        let params = self.params(node);
        let (body, directives) = match node.child_as(Role::Body) {
            Some(body) if body.kind() == "statement_block" => (self.steps_of(body), self.directives(body)),
            Some(body) => (vec![Step::Return(Some(self.expr(body)), self.span(body))], Vec::new()),
            None => (Vec::new(), Vec::new()),
        };
        self.top = top;
        let span = self.span(node);
        if let Some(place) = self.facts.functions.get_mut(id) {
            *place = Function { name, params, body, directives, span };
        }
        id
    }

    fn params(&mut self, node: Node<'t>) -> Vec<Param> {
        if let Some(only) = node.child_as(Role::Parameter) {
            return vec![Param { pattern: self.pattern(only), kind: ParamKind::Plain, type_name: None }];
        }
        let Some(list) = node.child_as(Role::Parameters) else {
            return Vec::new();
        };
        named(list).into_iter().filter_map(|child| self.param(child)).collect()
    }

    fn param(&mut self, node: Node<'t>) -> Option<Param> {
        if !matches!(node.kind(), "required_parameter" | "optional_parameter") {
            return None;
        }
        let pattern = node.child_as(Role::Pattern)?;
        if pattern.kind() == "this" {
            return None;
        }
        let mut pattern = self.pattern(pattern);
        if let Some(value) = node.child_as(Role::Value) {
            pattern = Pattern::Default(Box::new(pattern), Box::new(self.expr(value)));
        }
        Some(Param { pattern, kind: ParamKind::Plain, type_name: self.type_of(node) })
    }

    /// The text of a parameter's type, if it has one.
    pub(super) fn type_of(&self, param: Node<'t>) -> Option<String> {
        param.child_as(Role::Type).map(|of| self.of(of).trim_start_matches(':').trim().to_owned())
    }
}
