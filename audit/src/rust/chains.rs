//! Chains of calls that build one request or one statement, as the one call that they come to.

use tree_sitter::Node;

use crate::model::{Argument, CallExpr, Expr, Field, Literal, Span};
use crate::parse::{HasRoles, Role};

use super::lowering::{Lowering, children};

/// Functions of sqlx that are given a statement, and its values by `bind`.
const STATEMENTS: &[&str] = &["query", "query_as", "query_scalar"];

/// Longer chains are not read as one.
const LONGEST: usize = 32;

/// A method call of a chain.
struct Link<'n> {
    name: String,
    given: Vec<Node<'n>>,
}

impl Lowering<'_> {
    /// `sqlx::query(statement).bind(one).bind(other)`, as `sqlx::query(statement, one, other)`.
    pub(super) fn statement<'n>(&mut self, object: Node<'n>, last: Node<'n>, span: Span) -> Option<Expr> {
        let (links, start) = self.links(object);
        let function = start.child_as(Role::Function).filter(|_| start.kind() == "call_expression")?;
        let is_statement = self.path(function).last().is_some_and(|name| STATEMENTS.contains(&name.as_str()));
        if !is_statement || !links.iter().all(|link| link.name == "bind") {
            return None;
        }
        let mut given = start.child_as(Role::Arguments).map(children).unwrap_or_default();
        given.extend(links.iter().rev().flat_map(|link| link.given.iter().copied()));
        given.push(last);
        let callee = self.value(function);
        Some(self.call(callee, &given, span, self.span(function)))
    }

    /// `client.post(url).header(name, value).json(&body).send()`, as `reqwest.post(url, body, { headers })`.
    pub(super) fn sent(&mut self, object: Node<'_>, span: Span, at: Span) -> Option<Expr> {
        let (links, _) = self.links(object);
        let (first, rest) = links.split_last()?;
        let is_verb = matches!(first.name.as_str(), "get" | "post" | "put" | "patch" | "delete");
        let ([url], true) = (first.given.as_slice(), is_verb) else { return None };
        let url = self.value(*url);
        let (mut headers, mut body) = (Vec::new(), Expr::Object(Vec::new(), span));
        for link in rest.iter().rev() {
            match (link.name.as_str(), link.given.as_slice()) {
                ("header", [name, value]) => headers.push(Field::Computed(self.value(*name), self.value(*value))),
                ("headers", [all]) => headers.push(Field::Spread(self.value(*all))),
                ("json" | "form" | "body" | "multipart", [given]) => body = pairs(self.value(*given), span),
                _ => {}
            }
        }
        let headers = Field::Named("headers".to_owned(), Expr::Object(headers, span), span);
        let options = Expr::Object(vec![headers], span);
        let given =
            if matches!(first.name.as_str(), "get" | "delete") { vec![url, options] } else { vec![url, body, options] };
        let client = Box::new(Expr::Name("reqwest".to_owned(), span));
        let callee = Expr::Member(client, first.name.clone(), at);
        let arguments = given.into_iter().map(Argument::One).collect();
        Some(Expr::Call(Box::new(CallExpr { callee, arguments, constructs: false, tagged: false, span, at })))
    }

    /// The methods of a chain, the last one first, and what the first one is called on.
    fn links<'n>(&self, node: Node<'n>) -> (Vec<Link<'n>>, Node<'n>) {
        let (mut links, mut at) = (Vec::new(), node);
        while links.len() < LONGEST
            && let Some((field, given)) = method_of(at)
            && let Some(name) = field.child_as(Role::Field)
            && let Some(object) = field.child_as(Role::Value)
        {
            links.push(Link { name: self.text_of(name).to_owned(), given: children(given) });
            at = object;
        }
        (links, at)
    }
}

/// The method that a node calls, and what it is given.
fn method_of(node: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    let function = node.child_as(Role::Function).filter(|_| node.kind() == "call_expression")?;
    let given = node.child_as(Role::Arguments)?;
    (function.kind() == "field_expression").then_some((function, given))
}

/// `[("amount", amount), ("currency", "eur")]`, as the object that it is sent as.
fn pairs(value: Expr, span: Span) -> Expr {
    let fields = match bare(&value) {
        Expr::Array(parts) => parts.iter().map(pair).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    fields.map_or(value, |fields| {
        Expr::Object(fields.into_iter().map(|(name, value)| Field::Named(name, value, span)).collect(), span)
    })
}

fn pair(part: &Argument) -> Option<(String, Expr)> {
    let Argument::One(Expr::Array(pair)) = part else { return None };
    let [Argument::One(name), Argument::One(value)] = pair.as_slice() else { return None };
    let Expr::Literal(Literal::Text(name)) = bare(name) else { return None };
    Some((name.clone(), value.clone()))
}

fn bare(value: &Expr) -> &Expr {
    let mut value = value;
    while let Expr::Same(inner) = value {
        value = inner;
    }
    value
}
