//! Blocks and what ends them: conditions, `match`, loops, early ends.

use tree_sitter::Node;

use crate::model::{Binary, Block, Expr, Pattern, Step, Unary};
use crate::parse::{HasRoles, Role};

use super::lowering::{Lowering, children};

/// What becomes of a block's value.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// It is what the function returns.
    Return,
    /// It is given to this name.
    Into(String),
    /// Nothing.
    Drop,
}

impl Lowering<'_> {
    /// The steps of a block.
    pub(super) fn steps(&mut self, block: Node<'_>, mode: &Mode, steps: &mut Block) {
        let parts = children(block);
        let last = parts.len().saturating_sub(1);
        for (at, part) in parts.into_iter().enumerate() {
            let is_last = at == last;
            match part.kind() {
                "let_declaration" => self.declaration(part, steps),
                "expression_statement" => {
                    // Without a semicolon it is the block's value, as `if` and `match` are at the end.
                    let is_value = is_last && !self.text_of(part).ends_with(';');
                    if let Some(value) = children(part).first() {
                        self.ends(*value, if is_value { mode } else { &Mode::Drop }, steps);
                    }
                }
                "function_item" => {
                    let name = part.child_as(Role::Name).map(|name| self.text_of(name).to_owned());
                    let name = name.unwrap_or_default();
                    let id = self.function(part, &name);
                    steps.push(Step::Function(name, id));
                }
                "label" | "attribute_item" | "inner_attribute_item" | "use_declaration" | "empty_statement" => {}
                kind if kind.ends_with("_item") => self.item(part),
                _ => self.ends(part, if is_last { mode } else { &Mode::Drop }, steps),
            }
        }
    }

    /// `let`, and its `else`.
    fn declaration(&mut self, node: Node<'_>, steps: &mut Block) {
        let span = self.span(node);
        let Some(pattern) = node.child_as(Role::Pattern) else { return };
        let value = node.child_as(Role::Value).map(|value| self.value(value));
        let Some(otherwise) = node.child_as(Role::Alternative) else {
            let pattern = self.pattern(pattern);
            self.push(steps, Step::Let(pattern, value, span));
            return;
        };
        let value = self.keep(value.unwrap_or(Expr::Opaque(span)), span);
        steps.append(&mut self.pending);
        let test = self.test(pattern, &value).unwrap_or_else(|| value.clone());
        let otherwise = self.apart(|lowering, steps| lowering.steps(otherwise, &Mode::Drop, steps));
        self.push(steps, Step::If(Expr::Unary(Unary::Not, Box::new(test)), otherwise, Vec::new(), span));
        let pattern = self.pattern(pattern);
        steps.push(Step::Let(pattern, Some(value), span));
    }

    /// An expression whose value the mode takes.
    pub(super) fn ends(&mut self, node: Node<'_>, mode: &Mode, steps: &mut Block) {
        if self.nested(node, |lowering| lowering.ends_here(node, mode, steps)).is_none() {
            steps.push(Step::Expr(Expr::Opaque(self.span(node)), self.span(node)));
        }
    }

    fn ends_here(&mut self, node: Node<'_>, mode: &Mode, steps: &mut Block) {
        let span = self.span(node);
        match node.kind() {
            "if_expression" => self.condition_step(node, mode, steps),
            "match_expression" => self.match_steps(node, mode, steps),
            "block" => {
                let inner = self.apart(|lowering, steps| lowering.steps(node, mode, steps));
                self.push(steps, Step::Block(inner));
            }
            "unsafe_block" | "const_block" => {
                if let Some(block) = children(node).last() {
                    self.ends(*block, mode, steps);
                }
            }
            "for_expression" | "while_expression" | "loop_expression" => self.repeated(node, steps),
            "return_expression" => match children(node).first() {
                Some(value) => self.ends(*value, &Mode::Return, steps),
                None => self.push(steps, Step::Return(None, span)),
            },
            "break_expression" | "continue_expression" => self.push(steps, Step::Leave),
            "parenthesized_expression" => {
                if let Some(inner) = children(node).first() {
                    self.ends(*inner, mode, steps);
                }
            }
            "macro_invocation" if self.macro_step(node, steps) => {}
            _ => match mode {
                Mode::Return => self.returned(node, steps),
                Mode::Into(name) => {
                    let value = self.value(node);
                    let into = Box::new(Pattern::Name(name.clone(), span));
                    self.push(steps, Step::Expr(Expr::Assign(into, None, Box::new(value)), span));
                }
                Mode::Drop => {
                    let value = self.value(node);
                    self.push(steps, Step::Expr(value, span));
                }
            },
        }
    }

    fn condition_step(&mut self, node: Node<'_>, mode: &Mode, steps: &mut Block) {
        let span = self.span(node);
        let mut bound = Vec::new();
        let condition = match node.child_as(Role::Condition) {
            Some(condition) => self.condition(condition, &mut bound),
            None => Expr::Opaque(span),
        };
        steps.append(&mut self.pending);
        let yes = node.child_as(Role::Consequence);
        let yes = self.apart(|lowering, steps| {
            steps.append(&mut bound);
            if let Some(yes) = yes {
                lowering.steps(yes, mode, steps);
            }
        });
        let no = node.child_as(Role::Alternative).and_then(|no| children(no).first().copied());
        let no = self.apart(|lowering, steps| match no {
            Some(no) if no.kind() == "block" => lowering.steps(no, mode, steps),
            Some(no) => lowering.ends(no, mode, steps),
            None => {}
        });
        self.push(steps, Step::If(condition, yes, no, span));
    }

    /// A condition, and what its patterns bind where it holds.
    pub(super) fn condition(&mut self, node: Node<'_>, bound: &mut Block) -> Expr {
        let span = self.span(node);
        match node.kind() {
            "let_condition" => {
                let value = node.child_as(Role::Value).map(|value| self.value(value));
                let value = self.keep(value.unwrap_or(Expr::Opaque(span)), span);
                let Some(pattern) = node.child_as(Role::Pattern) else { return value };
                let test = self.test(pattern, &value).unwrap_or_else(|| value.clone());
                let pattern = self.pattern(pattern);
                bound.push(Step::Let(pattern, Some(value), span));
                test
            }
            "let_chain" => {
                let parts = children(node).into_iter().map(|part| self.condition(part, bound)).collect::<Vec<_>>();
                let and = |one, two| Expr::Binary(Binary::And, Box::new(one), Box::new(two), span);
                parts.into_iter().reduce(and).unwrap_or(Expr::Opaque(span))
            }
            _ => self.value(node),
        }
    }

    /// One arm after the other, each where those before it did not fit.
    fn match_steps(&mut self, node: Node<'_>, mode: &Mode, steps: &mut Block) {
        let span = self.span(node);
        let value = node.child_as(Role::Value).map(|value| self.value(value));
        let value = self.keep(value.unwrap_or(Expr::Opaque(span)), span);
        steps.append(&mut self.pending);
        let arms = node.child_as(Role::Body).map(children).unwrap_or_default();
        let arms: Vec<Node<'_>> = arms.into_iter().filter(|arm| arm.kind() == "match_arm").collect();
        let mut left: Block = Vec::new();
        for arm in arms.into_iter().rev() {
            let Some(pattern) = arm.child_as(Role::Pattern) else { continue };
            let body = self.apart(|lowering, steps| {
                let into = lowering.pattern(pattern);
                steps.push(Step::Let(into, Some(value.clone()), span));
                if let Some(body) = arm.child_as(Role::Value) {
                    lowering.ends(body, mode, steps);
                }
            });
            left = self.apart(|lowering, steps| match lowering.test(pattern, &value) {
                Some(test) => {
                    let at = lowering.span(arm);
                    // What a guard needs stands before it, and its pattern's names too.
                    let into = lowering.pattern(pattern);
                    steps.push(Step::Let(into, Some(value.clone()), at));
                    lowering.push(steps, Step::If(test, body, std::mem::take(&mut left), at));
                }
                None => steps.extend(body),
            });
        }
        steps.push(Step::Block(left));
    }

    fn repeated(&mut self, node: Node<'_>, steps: &mut Block) {
        let span = self.span(node);
        let over = match (node.child_as(Role::Pattern), node.child_as(Role::Value)) {
            (Some(pattern), Some(value)) => {
                let value = self.value(value);
                Some((self.pattern(pattern), value))
            }
            _ => None,
        };
        steps.append(&mut self.pending);
        let body = self.apart(|lowering, steps| {
            let mut bound = Vec::new();
            if let Some(condition) = node.child_as(Role::Condition) {
                let condition = lowering.condition(condition, &mut bound);
                let over = Expr::Unary(Unary::Not, Box::new(condition));
                lowering.push(steps, Step::If(over, vec![Step::Leave], Vec::new(), span));
            }
            steps.append(&mut bound);
            if let Some(body) = node.child_as(Role::Body) {
                lowering.steps(body, &Mode::Drop, steps);
            }
        });
        self.push(steps, Step::Loop(over, body, span));
    }

    /// An expression that yields the value of a block, a `match` or an `if`: they run before the statement, into a name.
    pub(super) fn hoisted(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        let name = self.temporary();
        let steps = self.apart(|lowering, steps| {
            steps.push(Step::Let(Pattern::Name(name.clone(), span), None, span));
            lowering.ends(node, &Mode::Into(name.clone()), steps);
        });
        self.pending.extend(steps);
        Expr::Name(name, span)
    }
}
