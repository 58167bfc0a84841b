//! Functions and closures.

use tree_sitter::Node;

use crate::model::{Block, Function, FunctionId, Param, ParamKind, Pattern};
use crate::parse::{HasRoles, Role};

use super::blocks::Mode;
use super::extractors;
use super::lowering::{Lowering, children};

impl Lowering<'_> {
    /// A function with a name.
    pub(super) fn function(&mut self, node: Node<'_>, name: &str) -> FunctionId {
        let parameters = node.child_as(Role::Parameters).map(children).unwrap_or_default();
        let params = parameters.into_iter().filter(|parameter| parameter.kind() == "parameter");
        let params: Vec<Param> = params.map(|parameter| self.parameter(parameter)).collect();
        let body = self.body(node);
        self.add(Function { name: name.to_owned(), params, body, span: self.span(node), ..Function::default() })
    }

    /// A closure. Its parameters have no kinds: it is given what its caller has.
    pub(super) fn closure(&mut self, node: Node<'_>) -> FunctionId {
        let parameters = node.child_as(Role::Parameters).map(children).unwrap_or_default();
        let params = parameters.into_iter().map(|parameter| {
            let pattern = parameter.child_as(Role::Pattern).unwrap_or(parameter);
            Param { pattern: self.pattern(pattern), kind: ParamKind::Plain, type_name: None }
        });
        let params: Vec<Param> = params.collect();
        let body = self.body(node);
        self.add(Function { params, body, span: self.span(node), ..Function::default() })
    }

    fn body(&mut self, function: Node<'_>) -> Block {
        let Some(body) = function.child_as(Role::Body) else { return Vec::new() };
        let read = |lowering: &mut Self| {
            lowering.apart(|lowering, steps| match body.kind() {
                "block" => lowering.steps(body, &Mode::Return, steps),
                _ => lowering.ends(body, &Mode::Return, steps),
            })
        };
        self.nested(body, read).unwrap_or_default()
    }

    fn parameter(&mut self, node: Node<'_>) -> Param {
        let of = node.child_as(Role::Type).map(|of| self.text_of(of)).unwrap_or_default();
        let pattern = node.child_as(Role::Pattern).map_or(Pattern::Ignored, |pattern| self.pattern(pattern));
        let type_name = Some(extractors::inner_type(of).to_owned()).filter(|name| !name.is_empty());
        Param { pattern, kind: extractors::kind(of), type_name }
    }

    fn add(&mut self, function: Function) -> FunctionId {
        self.facts.functions.push(function);
        self.facts.functions.len().saturating_sub(1)
    }
}
