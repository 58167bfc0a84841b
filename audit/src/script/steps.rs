//! Steps of a body.

use tree_sitter::Node;

use super::{Reader, named};
use crate::model::{Block, Expr, Field, Literal, Pattern, Step};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    /// The steps in a block, a module, a case.
    pub(super) fn steps_of(&mut self, node: Node<'t>) -> Block {
        let mut steps = Vec::new();
        for child in named(node) {
            self.step(child, &mut steps);
        }
        // Bodies are held as long as their file is.
        steps.shrink_to_fit();
        steps
    }

    /// The steps of a body that need not be a block.
    fn body(&mut self, node: Option<Node<'t>>) -> Block {
        let mut steps = Vec::new();
        match node {
            Some(node) if node.kind() == "statement_block" => return self.steps_of(node),
            Some(node) => self.step(node, &mut steps),
            None => {}
        }
        steps
    }

    pub(super) fn step(&mut self, node: Node<'t>, steps: &mut Block) {
        let top = self.top && matches!(node.kind(), "export_statement" | "expression_statement" | "ERROR");
        let outer = std::mem::replace(&mut self.top, top);
        self.deeper(node, |reader| reader.step_here(node, steps));
        self.top = outer;
    }

    fn step_here(&mut self, node: Node<'t>, steps: &mut Block) {
        let span = self.span(node);
        match node.kind() {
            "import_statement" => self.import(node),
            "export_statement" => self.export(node, steps),
            "lexical_declaration" | "variable_declaration" => self.declarations(node, steps),
            "function_declaration" | "generator_function_declaration" => {
                let id = self.function(node, "");
                let name = self.facts.functions.get(id).map(|function| function.name.clone()).unwrap_or_default();
                steps.push(Step::Function(name, id));
            }
            "class_declaration" | "abstract_class_declaration" => {
                let id = self.class(node);
                let name = self.facts.classes.get(id).map(|class| class.name.clone()).unwrap_or_default();
                steps.push(Step::Class(name, id));
            }
            "enum_declaration" => self.enumeration(node, steps),
            "expression_statement" => {
                if let Some(inner) = named(node).first() {
                    let value = self.expr(*inner);
                    steps.push(Step::Expr(value, span));
                }
            }
            "return_statement" => {
                let value = named(node).first().map(|inner| self.expr(*inner));
                steps.push(Step::Return(value, span));
            }
            "throw_statement" => {
                let value = named(node).first().map_or(Expr::Opaque(span), |inner| self.expr(*inner));
                steps.push(Step::Throw(value, span));
            }
            "if_statement" => self.choice(node, steps),
            "for_statement" | "for_in_statement" | "while_statement" | "do_statement" => self.repetition(node, steps),
            "switch_statement" => self.switch(node, steps),
            "try_statement" => self.attempt(node, steps),
            "statement_block" => {
                let inner = self.steps_of(node);
                steps.push(Step::Block(inner));
            }
            "labeled_statement" => {
                let body = self.body(node.child_as(Role::Body));
                steps.push(Step::Block(body));
            }
            "break_statement" | "continue_statement" => steps.push(Step::Leave),
            // What the grammar did not understand may hold pieces that it did.
            "ERROR" => {
                for child in named(node) {
                    self.step(child, steps);
                }
            }
            "call_expression" | "await_expression" | "assignment_expression" => {
                let value = self.expr(node);
                steps.push(Step::Expr(value, span));
            }
            _ => {}
        }
    }

    pub(super) fn declarations(&mut self, node: Node<'t>, steps: &mut Block) {
        for declarator in named(node).into_iter().filter(|child| child.kind() == "variable_declarator") {
            let Some(name) = declarator.child_as(Role::Name) else { continue };
            let called = self.of(name);
            let value = declarator.child_as(Role::Value).map(|value| self.named_value(value, called));
            let into = self.pattern(name);
            steps.push(Step::Let(into, value, self.span(declarator)));
        }
    }

    /// An enum is an object of its members.
    fn enumeration(&mut self, node: Node<'t>, steps: &mut Block) {
        let (Some(name), Some(body)) = (node.child_as(Role::Name), node.child_as(Role::Body)) else {
            return;
        };
        let mut fields = Vec::new();
        for member in named(body) {
            let span = self.span(member);
            let field = match member.kind() {
                "enum_assignment" => {
                    let name = member.child_as(Role::Name).map(|name| self.key(name)).unwrap_or_default();
                    Field::Named(name, self.child_expr(member, Role::Value), span)
                }
                _ => Field::Named(self.key(member), Expr::Literal(Literal::Text(self.key(member))), span),
            };
            fields.push(field);
        }
        let span = self.span(node);
        let into = Pattern::Name(self.of(name).to_owned(), self.span(name));
        steps.push(Step::Let(into, Some(Expr::Object(fields, span)), span));
    }

    fn choice(&mut self, node: Node<'t>, steps: &mut Block) {
        let condition = self.child_expr(node, Role::Condition);
        let yes = self.body(node.child_as(Role::Consequence));
        let no = node.child_as(Role::Alternative).and_then(|clause| named(clause).first().copied());
        let no = self.body(no);
        steps.push(Step::If(condition, yes, no, self.span(node)));
    }

    fn repetition(&mut self, node: Node<'t>, steps: &mut Block) {
        let span = self.span(node);
        let mut over = None;
        let mut body = Vec::new();
        if node.kind() == "for_in_statement" {
            let into = node.child_as(Role::Left).map_or(Pattern::Ignored, |left| self.pattern(left));
            over = Some((into, self.child_expr(node, Role::Right)));
        } else if node.kind() == "for_statement"
            && let Some(first) = node.child_as(Role::Initializer)
        {
            self.step(first, steps);
        }
        if let Some(condition) = node.child_as(Role::Condition) {
            let holder = if condition.kind() == "expression_statement" {
                named(condition).first().copied()
            } else {
                Some(condition)
            };
            if let Some(condition) = holder {
                let value = self.expr(condition);
                body.push(Step::Expr(value, span));
            }
        }
        body.extend(self.body(node.child_as(Role::Body)));
        steps.push(Step::Loop(over, body, span));
    }

    fn switch(&mut self, node: Node<'t>, steps: &mut Block) {
        let value = self.child_expr(node, Role::Value);
        let mut cases: Vec<(Vec<Expr>, Block)> = Vec::new();
        // Values of cases without a body belong to the next one that has one.
        let mut waiting: Vec<Expr> = Vec::new();
        let mut is_default = false;
        for case in node.child_as(Role::Body).map(named).unwrap_or_default() {
            let given = case.child_as(Role::Value);
            match given {
                Some(given) => waiting.push(self.expr(given)),
                None => is_default = true,
            }
            let mut body = Vec::new();
            for child in named(case).into_iter().filter(|child| Some(*child) != given) {
                self.step(child, &mut body);
            }
            if !body.is_empty() {
                let values = std::mem::take(&mut waiting);
                cases.push((if is_default { Vec::new() } else { values }, body));
                is_default = false;
            }
        }
        steps.push(Step::Switch(value, cases, self.span(node)));
    }

    fn attempt(&mut self, node: Node<'t>, steps: &mut Block) {
        let body = self.body(node.child_as(Role::Body));
        let caught = node.child_as(Role::Handler).map(|clause| {
            let into = clause.child_as(Role::Parameter).map(|into| self.pattern(into));
            (into, self.body(clause.child_as(Role::Body)))
        });
        let last = node.child_as(Role::Finalizer).and_then(|clause| clause.child_as(Role::Body));
        let last = self.body(last);
        steps.push(Step::Try(body, caught, last));
    }
}
