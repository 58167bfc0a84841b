//! Expressions.

use tree_sitter::Node;

use super::{Reader, named};
use crate::model::{Argument, Binary, CallExpr, Expr, Field, Import, Imported, Literal, Span, Unary};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    pub(super) fn expr(&mut self, node: Node<'t>) -> Expr {
        self.deeper(node, |reader| reader.expr_here(node)).unwrap_or_else(|| Expr::Opaque(self.span(node)))
    }

    pub(super) fn child_expr(&mut self, node: Node<'t>, role: Role) -> Expr {
        self.one(node.child_as(role), node)
    }

    fn one(&mut self, node: Option<Node<'t>>, within: Node<'t>) -> Expr {
        match node {
            Some(node) => self.expr(node),
            None => Expr::Opaque(self.span(within)),
        }
    }

    fn boxed(&mut self, node: Node<'t>, role: Role) -> Box<Expr> {
        Box::new(self.child_expr(node, role))
    }

    fn inner(&mut self, node: Node<'t>) -> Expr {
        self.one(named(node).first().copied(), node)
    }

    fn expr_here(&mut self, node: Node<'t>) -> Expr {
        match node.kind() {
            "identifier" | "shorthand_property_identifier" => Expr::Name(self.of(node).to_owned(), self.span(node)),
            "undefined" | "null" => Expr::Literal(Literal::Nothing),
            "this" | "super" => Expr::This,
            "string" => Expr::Literal(Literal::Text(self.string(node))),
            "number" => Expr::Literal(Literal::Number(self.of(node).to_owned())),
            "true" => Expr::Literal(Literal::Bool(true)),
            "false" => Expr::Literal(Literal::Bool(false)),
            "regex" => Expr::Literal(Literal::Pattern),
            "template_string" => self.template(node),
            "object" => Expr::Object(self.object(node), self.span(node)),
            "array" => Expr::Array(self.arguments(node)),
            "call_expression" => self.call(node),
            "new_expression" => self.construction(node),
            "member_expression" => self.member(node),
            "subscript_expression" => self.subscript(node),
            "assignment_expression" => self.assignment(node, None),
            "augmented_assignment_expression" => {
                let sign = node.child_as(Role::Operator).map_or("", |sign| self.of(sign));
                self.assignment(node, Some(binary(sign.trim_end_matches('='))))
            }
            "update_expression" => Expr::Unary(Unary::Other, self.boxed(node, Role::Argument)),
            "binary_expression" => {
                let sign = node.child_as(Role::Operator).map_or("", |sign| self.of(sign));
                let (left, right) = (self.boxed(node, Role::Left), self.boxed(node, Role::Right));
                Expr::Binary(binary(sign), left, right, self.span(node))
            }
            "unary_expression" => {
                let sign = node.child_as(Role::Operator).map_or("", |sign| self.of(sign));
                let unary = if sign == "!" { Unary::Not } else { Unary::Other };
                Expr::Unary(unary, self.boxed(node, Role::Argument))
            }
            "ternary_expression" => Expr::Choice(
                self.boxed(node, Role::Condition),
                self.boxed(node, Role::Consequence),
                self.boxed(node, Role::Alternative),
            ),
            "await_expression" => Expr::Await(Box::new(self.inner(node))),
            "parenthesized_expression"
            | "as_expression"
            | "satisfies_expression"
            | "non_null_expression"
            | "yield_expression"
            | "spread_element"
            | "instantiation_expression" => self.inner(node),
            "type_assertion" => self.one(named(node).last().copied(), node),
            "arrow_function" | "function_expression" | "function" | "generator_function" => {
                Expr::Function(self.function(node, ""))
            }
            "class" => Expr::Class(self.class(node)),
            "sequence_expression" => Expr::Sequence(named(node).into_iter().map(|child| self.expr(child)).collect()),
            _ => Expr::Opaque(self.span(node)),
        }
    }

    /// A text without its quotes.
    pub(super) fn string(&self, node: Node<'t>) -> String {
        let text = self.of(node);
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        inner.to_owned()
    }

    fn template(&mut self, node: Node<'t>) -> Expr {
        let mut parts = Vec::new();
        for child in named(node) {
            match child.kind() {
                "template_substitution" => parts.push(self.inner(child)),
                _ => parts.push(Expr::Literal(Literal::Text(self.of(child).to_owned()))),
            }
        }
        match parts.as_slice() {
            [] => Expr::Literal(Literal::Text(String::new())),
            [Expr::Literal(_)] => parts.remove(0),
            _ => Expr::Template(parts),
        }
    }

    fn object(&mut self, node: Node<'t>) -> Vec<Field> {
        let mut fields = Vec::new();
        for child in named(node) {
            let span = self.span(child);
            match child.kind() {
                "pair" => fields.push(self.pair(child)),
                "shorthand_property_identifier" => {
                    let name = self.of(child).to_owned();
                    fields.push(Field::Named(name.clone(), Expr::Name(name, span), span));
                }
                "spread_element" => fields.push(Field::Spread(self.inner(child))),
                "method_definition" => {
                    let name = child.child_as(Role::Name).map(|name| self.key(name)).unwrap_or_default();
                    let function = self.function(child, &name);
                    fields.push(Field::Named(name, Expr::Function(function), span));
                }
                _ => {}
            }
        }
        fields.shrink_to_fit();
        fields
    }

    fn pair(&mut self, node: Node<'t>) -> Field {
        let span = self.span(node);
        let Some(key) = node.child_as(Role::Key) else {
            return Field::Spread(Expr::Opaque(span));
        };
        if key.kind() == "computed_property_name" {
            let name = self.inner(key);
            return Field::Computed(name, self.child_expr(node, Role::Value));
        }
        let name = self.key(key);
        let value = node.child_as(Role::Value).map_or(Expr::Opaque(span), |value| self.named_value(value, &name));
        Field::Named(name, value, span)
    }

    /// A value that is given a name: a function takes it as its own.
    pub(super) fn named_value(&mut self, node: Node<'t>, name: &str) -> Expr {
        match node.kind() {
            "arrow_function" | "function_expression" | "generator_function" => self
                .deeper(node, |reader| Expr::Function(reader.function(node, name)))
                .unwrap_or_else(|| Expr::Opaque(self.span(node))),
            _ => self.expr(node),
        }
    }

    /// The name of a field.
    pub(super) fn key(&self, node: Node<'t>) -> String {
        match node.kind() {
            "string" => self.string(node),
            _ => self.of(node).to_owned(),
        }
    }

    pub(super) fn arguments(&mut self, node: Node<'t>) -> Vec<Argument> {
        let one = |child: Node<'t>| {
            let value = self.expr(child);
            if child.kind() == "spread_element" { Argument::Spread(value) } else { Argument::One(value) }
        };
        named(node).into_iter().map(one).collect()
    }

    fn call(&mut self, node: Node<'t>) -> Expr {
        let span = self.span(node);
        let (Some(function), Some(given)) = (node.child_as(Role::Function), node.child_as(Role::Arguments)) else {
            return Expr::Opaque(span);
        };
        let loads = function.kind() == "import" || (function.kind() == "identifier" && self.of(function) == "require");
        if loads && let Some(from) = named(given).first().filter(|from| from.kind() == "string") {
            return self.module(self.string(*from), span);
        }
        let at = self.last_name(function);
        let callee = self.expr(function);
        let (arguments, tagged) = if given.kind() == "template_string" {
            (vec![Argument::One(self.expr(given))], true)
        } else {
            (self.arguments(given), false)
        };
        Expr::Call(Box::new(CallExpr { callee, arguments, constructs: false, tagged, span, at }))
    }

    /// `require('…')` and `import('…')`: an import under a name that no source can have.
    fn module(&mut self, from: String, span: Span) -> Expr {
        let local = format!("module {from}");
        if !self.facts.imports.iter().any(|import| import.local == local) {
            self.facts.imports.push(Import { local: local.clone(), what: Imported::All, from, span });
        }
        Expr::Name(local, span)
    }

    fn construction(&mut self, node: Node<'t>) -> Expr {
        let span = self.span(node);
        let at = node.child_as(Role::Constructor).map_or(span, |callee| self.last_name(callee));
        let callee = self.child_expr(node, Role::Constructor);
        let arguments = node.child_as(Role::Arguments).map(|given| self.arguments(given)).unwrap_or_default();
        Expr::Call(Box::new(CallExpr { callee, arguments, constructs: true, tagged: false, span, at }))
    }

    /// Where the callee's last name stands.
    fn last_name(&self, callee: Node<'t>) -> Span {
        self.span(callee.child_as(Role::Property).unwrap_or(callee))
    }

    fn member(&mut self, node: Node<'t>) -> Expr {
        let name = node.child_as(Role::Property).map(|name| self.of(name)).unwrap_or_default().to_owned();
        Expr::Member(self.boxed(node, Role::Object), name, self.last_name(node))
    }

    fn subscript(&mut self, node: Node<'t>) -> Expr {
        let object = self.boxed(node, Role::Object);
        match self.child_expr(node, Role::Index) {
            Expr::Literal(Literal::Text(name)) => Expr::Member(object, name, self.span(node)),
            index => Expr::Index(object, Box::new(index), self.span(node)),
        }
    }

    fn assignment(&mut self, node: Node<'t>, sign: Option<Binary>) -> Expr {
        let name = node.child_as(Role::Left).map(|left| self.of(left)).unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let value = match node.child_as(Role::Right) {
            Some(right) => self.named_value(right, name),
            None => Expr::Opaque(self.span(node)),
        };
        if self.top && sign.is_none() {
            self.common_export(node, &value);
        }
        match node.child_as(Role::Left) {
            Some(left) => Expr::Assign(Box::new(self.pattern(left)), sign, Box::new(value)),
            None => value,
        }
    }
}

fn binary(sign: &str) -> Binary {
    match sign {
        "+" => Binary::Add,
        "-" => Binary::Subtract,
        "*" | "/" | "%" | "**" => Binary::Multiply,
        "==" | "===" => Binary::Equal,
        "!=" | "!==" => Binary::Unequal,
        "<" | "<=" | ">" | ">=" => Binary::Order,
        "&&" => Binary::And,
        "||" => Binary::Or,
        "??" => Binary::Coalesce,
        _ => Binary::Other,
    }
}
