//! Expressions as values.

use tree_sitter::Node;

use crate::model::{Argument, Binary, CallExpr, Expr, Field, Literal, Pattern, Span, Step, Unary};
use crate::parse::{HasRoles, Role};

use super::answers;
use super::lowering::{Lowering, children};

/// Methods that yield what they are called on, or an error or nothing in its place.
const SAME: &[&str] = &[
    "unwrap",
    "expect",
    "unwrap_or_default",
    "clone",
    "cloned",
    "copied",
    "to_owned",
    "to_string",
    "into",
    "try_into",
    "as_ref",
    "as_mut",
    "as_str",
    "as_bytes",
    "as_deref",
    "as_slice",
    "to_str",
    "ok",
    "map_err",
    "trim",
    "iter",
    "into_iter",
    "collect",
    "borrow",
    "to_vec",
    "context",
    "with_context",
    "into_inner",
    "into_string",
    "boxed",
    "by_ref",
    "take",
    "unwrap_or_else",
    "into_owned",
    "to_lowercase",
    "to_uppercase",
    "inspect",
    "inspect_err",
    "or_else",
];

/// Methods that begin as those do that only look, and yield the opposite of what they look at.
const NOT_SAME: &[&str] = &["is_none", "is_err", "is_empty"];

/// Calls that yield their one argument.
const HOLDING: &[&str] = &[
    "Some",
    "Ok",
    "Arc::new",
    "Rc::new",
    "Box::new",
    "Box::pin",
    "Arc::clone",
    "Rc::clone",
    "String::from",
    "Cow::Borrowed",
    "Cow::Owned",
    "Json",
    "Mutex::new",
    "Pin::new",
    "Cow::from",
    "std::mem::take",
];

impl Lowering<'_> {
    /// What an expression yields.
    pub(super) fn value(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        self.nested(node, |lowering| lowering.value_here(node)).unwrap_or(Expr::Opaque(span))
    }

    fn value_here(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        match node.kind() {
            "identifier" | "scoped_identifier" | "type_identifier" | "scoped_type_identifier" | "generic_type" => {
                self.named(node, span)
            }
            "self" => Expr::This,
            "field_expression" => {
                let name = node.child_as(Role::Field).map(|field| self.text_of(field).to_owned());
                let object = self.part(node, Role::Value);
                Expr::Member(Box::new(object), name.unwrap_or_default(), span)
            }
            "call_expression" => self.called(node, span),
            "macro_invocation" => self.macro_value(node),
            "string_literal" | "raw_string_literal" => Expr::Literal(Literal::Text(self.literal_text(node))),
            "char_literal" => Expr::Literal(Literal::Text(self.text_of(node).trim_matches('\'').to_owned())),
            "integer_literal" | "float_literal" | "negative_literal" => {
                Expr::Literal(Literal::Number(self.text_of(node).to_owned()))
            }
            "boolean_literal" => Expr::Literal(Literal::Bool(self.text_of(node) == "true")),
            "unit_expression" => Expr::Literal(Literal::Nothing),
            "binary_expression" => self.binary(node, span),
            "unary_expression" => {
                let sign = if self.text_of(node).starts_with('!') { Unary::Not } else { Unary::Other };
                Expr::Unary(sign, Box::new(self.inner(node)))
            }
            "reference_expression" | "type_cast_expression" => Expr::Same(Box::new(self.part(node, Role::Value))),
            "parenthesized_expression" | "yield_expression" => Expr::Same(Box::new(self.inner(node))),
            "await_expression" => Expr::Await(Box::new(self.inner(node))),
            "try_expression" => Expr::Try(Box::new(self.inner(node))),
            "index_expression" => {
                let parts = children(node);
                let mut parts = parts.into_iter().map(|part| self.value(part)).collect::<Vec<_>>().into_iter();
                match (parts.next(), parts.next()) {
                    (Some(object), Some(index)) => Expr::Index(Box::new(object), Box::new(index), span),
                    _ => Expr::Opaque(span),
                }
            }
            "tuple_expression" | "array_expression" => {
                let parts = children(node).into_iter().filter(|part| part.kind() != "attribute_item");
                Expr::Array(parts.map(|part| Argument::One(self.value(part))).collect())
            }
            "range_expression" => Expr::Sequence(children(node).into_iter().map(|part| self.value(part)).collect()),
            "struct_expression" => self.struct_value(node, span),
            "assignment_expression" | "compound_assignment_expr" => self.assigned(node),
            "closure_expression" => Expr::Function(self.closure(node)),
            "async_block" | "try_block" | "gen_block" => match children(node).last() {
                Some(block) => self.hoisted(*block),
                None => Expr::Opaque(span),
            },
            "generic_function" => self.part(node, Role::Function),
            "if_expression"
            | "match_expression"
            | "block"
            | "unsafe_block"
            | "loop_expression"
            | "for_expression"
            | "while_expression"
            | "const_block"
            | "return_expression"
            | "break_expression"
            | "continue_expression" => self.hoisted(node),
            // As a guard of `match`, where what its patterns bind is not kept.
            "let_condition" | "let_chain" => self.condition(node, &mut Vec::new()),
            _ => Expr::Opaque(span),
        }
    }

    fn part(&mut self, node: Node<'_>, role: Role) -> Expr {
        let span = self.span(node);
        node.child_as(role).map_or(Expr::Opaque(span), |part| self.value(part))
    }

    fn inner(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        children(node).first().map_or(Expr::Opaque(span), |inner| self.value(*inner))
    }

    /// The text between the quotes of a literal.
    pub(super) fn literal_text(&self, node: Node<'_>) -> String {
        let text = self.text_of(node);
        let inner = text.find('"').zip(text.rfind('"')).filter(|(first, last)| first < last);
        inner.and_then(|(first, last)| text.get(first.saturating_add(1)..last)).unwrap_or_default().to_owned()
    }

    /// A name, or a path to a name: of this file, of another one, or of a crate.
    fn named(&mut self, node: Node<'_>, span: Span) -> Expr {
        let mut path = self.path(node);
        if let (Some(first), Some(own)) = (path.first_mut(), &self.own_type)
            && first == "Self"
        {
            first.clone_from(own);
        }
        if let [of, name] = path.as_slice()
            && of == "StatusCode"
            && let Some(number) = answers::status(name)
        {
            return Expr::Literal(Literal::Number(number.to_string()));
        }
        if path.len() == 1 {
            let name = path.pop().unwrap_or_default();
            return match name.as_str() {
                "None" => Expr::Literal(Literal::Nothing),
                _ => match self.modules.crates.get(&name).cloned() {
                    Some(path) => joined(path, span),
                    None => self.free(name, span),
                },
            };
        }
        if let Some(of_crate) = path.first().and_then(|first| self.modules.crates.get(first)) {
            return joined(of_crate.iter().cloned().chain(path.iter().skip(1).cloned()).collect(), span);
        }
        let found = self.modules.absolute(&path).and_then(|absolute| self.found(&absolute));
        let (start, rest) = match found {
            Some(found) if found.file == self.facts.path && !found.rest.is_empty() => (None, found.rest),
            // What a `use` binds is known by its name; a module by the path that leads to it.
            Some(mut found) if !found.rest.is_empty() && found.rest.len() < path.len() => {
                let rest = std::mem::take(&mut found.rest);
                let module = path.get(..path.len().saturating_sub(rest.len())).unwrap_or_default().join("::");
                // A variable of the module's name is another thing.
                let module = if module.contains("::") { module } else { format!("{module}::") };
                self.import(module.clone(), &found, span);
                (Some(Expr::Name(module, span)), rest)
            }
            _ => (None, path),
        };
        let mut rest = rest.into_iter();
        let start = start.or_else(|| rest.next().map(|first| Expr::Name(first, span))).unwrap_or(Expr::Opaque(span));
        rest.fold(start, |object, name| Expr::Member(Box::new(object), name, span))
    }

    /// A name that may come by a `use` of everything.
    fn free(&mut self, name: String, span: Span) -> Expr {
        if let [glob] = self.globs.as_slice()
            && !self.modules.names.contains_key(&name)
            && name.chars().next().is_some_and(char::is_lowercase)
        {
            let found = super::modules::InFile { file: glob.file.clone(), rest: vec![name.clone()] };
            self.import(name.clone(), &found, span);
        }
        Expr::Name(name, span)
    }

    fn called(&mut self, node: Node<'_>, span: Span) -> Expr {
        let given = node.child_as(Role::Arguments).map(children).unwrap_or_default();
        let given: Vec<Node<'_>> = given.into_iter().filter(|given| given.kind() != "attribute_item").collect();
        let Some(function) = node.child_as(Role::Function) else { return Expr::Opaque(span) };
        let function = match function.kind() {
            "generic_function" => function.child_as(Role::Function).unwrap_or(function),
            _ => function,
        };
        if function.kind() == "field_expression" {
            return self.method(function, &given, span);
        }
        if let (text, [only]) = (self.text_of(function), given.as_slice()) {
            let short = text.strip_prefix("std::sync::").or_else(|| text.strip_prefix("axum::")).unwrap_or(text);
            if HOLDING.contains(&short) {
                return Expr::Same(Box::new(self.value(*only)));
            }
        }
        let callee = self.value(function);
        self.call(callee, &given, span, self.span(function))
    }

    pub(super) fn call(&mut self, callee: Expr, given: &[Node<'_>], span: Span, at: Span) -> Expr {
        let arguments = given.iter().map(|given| Argument::One(self.value(*given))).collect();
        Expr::Call(Box::new(CallExpr { callee, arguments, constructs: false, tagged: false, span, at }))
    }

    fn method<'n>(&mut self, function: Node<'n>, given: &[Node<'n>], span: Span) -> Expr {
        let field = function.child_as(Role::Field);
        let name = field.map(|field| self.text_of(field).to_owned()).unwrap_or_default();
        let at = field.map_or(span, |field| self.span(field));
        let one_call = match (name.as_str(), given, function.child_as(Role::Value)) {
            ("send", [], Some(object)) => self.sent(object, span, at),
            ("bind", [last], Some(object)) => self.statement(object, *last, span),
            _ => None,
        };
        if let Some(call) = one_call {
            return call;
        }
        let object = self.part(function, Role::Value);
        // It changes what it is called on.
        if let (Expr::Name(changed, place), "update", [_]) = (&object, name.as_str(), given) {
            let into = Box::new(Pattern::Name(changed.clone(), *place));
            let value = self.call(Expr::Member(Box::new(object), name, at), given, span, at);
            return Expr::Assign(into, None, Box::new(value));
        }
        if let (Some(sign), [other]) = (arithmetic(&name), given) {
            return self.compared(sign, object, *other, span);
        }
        match (name.as_str(), given) {
            // Of locks and cells.
            ("lock" | "read" | "write" | "borrow_mut", []) => Expr::Same(Box::new(object)),
            (name, _) if SAME.contains(&name) => Expr::Same(Box::new(object)),
            (name, [])
                if ["as_", "to_", "into_", "is_"].iter().any(|start| name.starts_with(start))
                    && !NOT_SAME.contains(&name) =>
            {
                Expr::Same(Box::new(object))
            }
            ("is_none" | "is_err", []) => Expr::Unary(Unary::Not, Box::new(object)),
            ("eq", [other]) => self.compared(Binary::Equal, object, *other, span),
            ("ne", [other]) => self.compared(Binary::Unequal, object, *other, span),
            ("unwrap_or", [other]) => self.compared(Binary::Coalesce, object, *other, span),
            ("ok_or" | "ok_or_else", [error]) => self.or_thrown(object, *error, span),
            ("map" | "and_then" | "then" | "is_some_and" | "is_ok_and", [apply]) => {
                let callee = self.value(*apply);
                let arguments = vec![Argument::One(object)];
                Expr::Call(Box::new(CallExpr { callee, arguments, constructs: false, tagged: false, span, at }))
            }
            (_, given) => match self.payproof_call(&object, &name, given, span, at) {
                Some(call) => call,
                None => self.call(Expr::Member(Box::new(object), name, at), given, span, at),
            },
        }
    }

    /// What payproof itself does, under its own name.
    fn payproof_call(&mut self, object: &Expr, name: &str, given: &[Node<'_>], span: Span, at: Span) -> Option<Expr> {
        let holds = |word: &str| match object {
            Expr::Member(_, name, _) | Expr::Name(name, _) => name.to_lowercase().contains(word),
            _ => false,
        };
        let known = match (name, given.len()) {
            ("validate" | "redeem", 1) => holds("validator") || holds("payproof"),
            ("receive", 3) => holds("webhook"),
            _ => false,
        };
        if !known || !self.payproof {
            return None;
        }
        let payproof = Box::new(Expr::Name("payproof".to_owned(), span));
        Some(self.call(Expr::Member(payproof, name.to_owned(), at), given, span, at))
    }

    /// `value.ok_or(error)`: what follows runs with a value alone.
    fn or_thrown(&mut self, value: Expr, error: Node<'_>, span: Span) -> Expr {
        let value = self.keep(value, span);
        let thrown = self.apart(|lowering, steps| {
            let error = lowering.value(error);
            lowering.push(steps, Step::Throw(error, span));
        });
        let missing = Expr::Unary(Unary::Not, Box::new(value.clone()));
        self.pending.push(Step::If(missing, thrown, Vec::new(), span));
        value
    }

    fn compared(&mut self, sign: Binary, one: Expr, other: Node<'_>, span: Span) -> Expr {
        let other = self.value(other);
        Expr::Binary(sign, Box::new(one), Box::new(other), span)
    }

    fn binary(&mut self, node: Node<'_>, span: Span) -> Expr {
        let sign = node.child_as(Role::Operator).map(|sign| self.text_of(sign)).unwrap_or_default();
        let sign = sign_of(sign);
        let left = self.part(node, Role::Left);
        let right = self.part(node, Role::Right);
        Expr::Binary(sign, Box::new(left), Box::new(right), span)
    }

    fn assigned(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        let sign = node.child_as(Role::Operator).map(|sign| self.text_of(sign).trim_end_matches('='));
        let value = self.part(node, Role::Right);
        let into = match node.child_as(Role::Left) {
            Some(name) if name.kind() == "identifier" => Pattern::Name(self.text_of(name).to_owned(), span),
            Some(place) => Pattern::Place(Box::new(self.value(place))),
            None => Pattern::Ignored,
        };
        Expr::Assign(Box::new(into), sign.map(sign_of), Box::new(value))
    }

    fn struct_value(&mut self, node: Node<'_>, span: Span) -> Expr {
        let fields = node.child_as(Role::Body).map(children).unwrap_or_default();
        let fields = fields.into_iter().filter_map(|field| {
            let at = self.span(field);
            Some(match field.kind() {
                "field_initializer" => {
                    let name = field.child_as(Role::Field).map(|name| self.text_of(name).to_owned())?;
                    Field::Named(name, self.part(field, Role::Value), at)
                }
                "shorthand_field_initializer" => {
                    let name = children(field).last().map(|name| self.text_of(*name).to_owned())?;
                    Field::Named(name.clone(), Expr::Name(name, at), at)
                }
                "base_field_initializer" => Field::Spread(self.inner(field)),
                _ => return None,
            })
        });
        let fields = Expr::Object(fields.collect(), span);
        match node.child_as(Role::Name) {
            Some(name) => Expr::Struct(Box::new(self.named(name, span)), Box::new(fields)),
            None => fields,
        }
    }
}

/// A path, part by part.
fn joined(path: Vec<String>, span: Span) -> Expr {
    let mut parts = path.into_iter();
    let first = parts.next().map_or(Expr::Opaque(span), |first| Expr::Name(first, span));
    parts.fold(first, |object, name| Expr::Member(Box::new(object), name, span))
}

/// `saturating_add` and the like, as the operators that they are.
fn arithmetic(name: &str) -> Option<Binary> {
    let (kind, sign) = name.split_once('_')?;
    let sign = match sign {
        "add" => Binary::Add,
        "sub" => Binary::Subtract,
        "mul" | "div" | "rem" => Binary::Multiply,
        _ => return None,
    };
    matches!(kind, "saturating" | "checked" | "wrapping" | "overflowing").then_some(sign)
}

fn sign_of(sign: &str) -> Binary {
    match sign {
        "+" => Binary::Add,
        "-" => Binary::Subtract,
        "*" | "/" | "%" => Binary::Multiply,
        "==" => Binary::Equal,
        "!=" => Binary::Unequal,
        "<" | "<=" | ">" | ">=" => Binary::Order,
        "&&" => Binary::And,
        "||" => Binary::Or,
        _ => Binary::Other,
    }
}
