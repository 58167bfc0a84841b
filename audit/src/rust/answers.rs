//! What a function returns: answers in the form that all readers give them.

use tree_sitter::Node;

use crate::model::{Argument, Block, CallExpr, Expr, Field, Literal, Span, Step};
use crate::parse::{HasRoles, Role};

use super::lowering::{Lowering, children};

/// The statuses that services name.
const STATUSES: &[(&str, u16)] = &[
    ("OK", 200),
    ("CREATED", 201),
    ("ACCEPTED", 202),
    ("NO_CONTENT", 204),
    ("BAD_REQUEST", 400),
    ("UNAUTHORIZED", 401),
    ("PAYMENT_REQUIRED", 402),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("CONFLICT", 409),
    ("GONE", 410),
    ("PRECONDITION_FAILED", 412),
    ("UNPROCESSABLE_ENTITY", 422),
    ("TOO_MANY_REQUESTS", 429),
    ("INTERNAL_SERVER_ERROR", 500),
    ("NOT_IMPLEMENTED", 501),
    ("BAD_GATEWAY", 502),
    ("SERVICE_UNAVAILABLE", 503),
    ("GATEWAY_TIMEOUT", 504),
];

/// The number of a status by its name in `http`.
pub(super) fn status(name: &str) -> Option<u16> {
    STATUSES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

impl Lowering<'_> {
    /// An expression that is returned.
    pub(super) fn returned(&mut self, node: Node<'_>, steps: &mut Block) {
        let span = self.span(node);
        if let Some((name, [inner])) = self.plain_call(node).as_ref().map(|(name, given)| (*name, given.as_slice())) {
            match name {
                "Ok" | "Some" => return self.ends(*inner, &super::blocks::Mode::Return, steps),
                "Err" => {
                    let value = self.answer(*inner);
                    return self.push(steps, Step::Throw(value, span));
                }
                _ => {}
            }
        }
        let value = self.answer(node);
        self.push(steps, Step::Return(Some(value), span));
    }

    /// An answer, if it is one: a tuple with a status, JSON, or a status alone.
    fn answer(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        match node.kind() {
            "tuple_expression" => {
                let parts = children(node);
                let Some(status) = parts.first().and_then(|first| self.status_of(*first)) else {
                    return self.value(node);
                };
                if let Some(body) = parts.last().and_then(|last| self.json(*last)) {
                    return response(true, body, Some(status), span);
                }
                let body = parts.get(1..).and_then(<[_]>::last).map(|body| self.value(*body));
                response(false, body.unwrap_or(Expr::Literal(Literal::Nothing)), Some(status), span)
            }
            "scoped_identifier" => match self.status_of(node) {
                Some(status) => response(false, Expr::Literal(Literal::Nothing), Some(status), span),
                None => self.value(node),
            },
            "call_expression" => {
                let method = node.child_as(Role::Function).filter(|function| function.kind() == "field_expression");
                if let Some(function) = method {
                    let name = function.child_as(Role::Field).map(|field| self.text_of(field)).unwrap_or_default();
                    let object = function.child_as(Role::Value);
                    if let (Some(object), "into_response" | "into" | "with_status" | "with_message") = (object, name) {
                        return self.nested(node, |lowering| lowering.answer(object)).unwrap_or(Expr::Opaque(span));
                    }
                }
                match self.json(node) {
                    Some(body) => response(true, body, None, span),
                    None => self.value(node),
                }
            }
            _ => self.value(node),
        }
    }

    /// What `Json(…)` holds, and payproof's `Success`.
    fn json(&mut self, node: Node<'_>) -> Option<Expr> {
        let span = self.span(node);
        let (name, given) = self.plain_call(node)?;
        let [inner] = *given.as_slice() else { return None };
        match name {
            "Json" | "axum::Json" => Some(self.value(inner)),
            "Success::new" if self.payproof => {
                let data = self.value(inner);
                Some(Expr::Object(vec![Field::Named("data".to_owned(), data, span)], span))
            }
            _ => None,
        }
    }

    /// A call of a path: its text and its arguments.
    pub(super) fn plain_call<'n>(&self, node: Node<'n>) -> Option<(&str, Vec<Node<'n>>)> {
        let function = (node.kind() == "call_expression").then(|| node.child_as(Role::Function)).flatten()?;
        let given = node.child_as(Role::Arguments).map(children).unwrap_or_default();
        matches!(function.kind(), "identifier" | "scoped_identifier").then(|| (self.text_of(function), given))
    }

    fn status_of(&self, node: Node<'_>) -> Option<Expr> {
        let text = self.text_of(node);
        let (of, name) = text.rsplit_once("::")?;
        let number = of.ends_with("StatusCode").then(|| status(name)).flatten()?;
        Some(Expr::Literal(Literal::Number(number.to_string())))
    }
}

/// `Response.json(body, { status })`, or `new Response(body, { status })`.
fn response(json: bool, body: Expr, status: Option<Expr>, span: Span) -> Expr {
    let response = Expr::Name("Response".to_owned(), span);
    let callee = if json { Expr::Member(Box::new(response), "json".to_owned(), span) } else { response };
    let options = status.map(|status| Expr::Object(vec![Field::Named("status".to_owned(), status, span)], span));
    let arguments = std::iter::once(body).chain(options).map(Argument::One).collect();
    Expr::Call(Box::new(CallExpr { callee, arguments, constructs: !json, tagged: false, span, at: span }))
}
