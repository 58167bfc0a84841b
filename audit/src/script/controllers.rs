//! Controllers by decorators, as Nest has them: `@Controller('orders')` on a class, `@Post(':id/pay')` on its methods.

use tree_sitter::Node;

use super::{Reader, named};
use crate::model::{Argument, CallExpr, Expr, Field, FunctionId, Literal, ParamKind, Pattern, PatternField, RouteFact};
use crate::parse::{HasRoles, Role};

/// Words of decorators that let only some callers through, or that know repetitions.
const GUARDS: &[&str] = &["auth", "role", "admin", "permission", "guard", "access", "idempot", "apikey"];

impl<'t> Reader<'t> {
    /// The path that a class is served below, if it is a controller.
    pub(super) fn controller(&mut self, decorators: &[Node<'t>]) -> Option<String> {
        let controller = decorators.iter().find(|decorator| self.decorator_name(**decorator) == "Controller")?;
        Some(self.decorated_path(*controller))
    }

    /// A route of a controller's method, by the decorators of both.
    pub(super) fn controller_route(
        &mut self,
        class: (&str, &str),
        above: &[Node<'t>],
        own: &[Node<'t>],
        method: (&str, Node<'t>),
        id: FunctionId,
    ) {
        let (class, prefix) = class;
        let (method, node) = method;
        let verb = |name: &str| match name {
            "Get" | "Post" | "Put" | "Patch" | "Delete" => Some(name.to_uppercase()),
            "All" => Some("ANY".to_owned()),
            _ => None,
        };
        let Some((decorator, verb)) =
            own.iter().find_map(|decorator| Some((*decorator, verb(self.decorator_name(*decorator))?)))
        else {
            return;
        };
        let span = self.span(node);
        let made = |class: Expr| {
            Expr::Call(Box::new(CallExpr {
                callee: class,
                arguments: Vec::new(),
                constructs: true,
                tagged: false,
                span,
                at: span,
            }))
        };
        let mut before = Vec::new();
        for decorator in above.iter().chain(own) {
            let name = self.decorator_name(*decorator);
            if matches!(name, "UseGuards" | "UseInterceptors") {
                for argument in self.decorator_arguments(*decorator) {
                    let Argument::One(guard) = argument else { continue };
                    let guard = if matches!(guard, Expr::Name(..)) { made(guard) } else { guard };
                    before.push(Expr::Member(Box::new(guard), "canActivate".to_owned(), span));
                }
            } else if GUARDS.iter().any(|word| name.to_lowercase().contains(word)) {
                before.push(Expr::Name(name.to_owned(), span));
            }
        }
        let path = format!("{prefix}/{}", self.decorated_path(decorator));
        self.decorate_params(id, node);
        self.facts.routes.push(RouteFact {
            method: verb,
            path: shown(&path),
            handler: Expr::Member(Box::new(made(Expr::Name(class.to_owned(), span))), method.to_owned(), span),
            before,
            guarded: false,
            span,
        });
    }

    /// What the decorators of a method's parameters say that they hold.
    fn decorate_params(&mut self, id: FunctionId, method: Node<'t>) {
        let list = method.child_as(Role::Parameters).map(named).unwrap_or_default();
        for (at, node) in list.into_iter().enumerate() {
            let Some(decorator) = decorators(node).first().copied() else { continue };
            let kind = match self.decorator_name(decorator) {
                "Body" => ParamKind::ParsedBody,
                "RawBody" => ParamKind::RawBody,
                "Query" => ParamKind::Query,
                "Param" => ParamKind::Path,
                "Headers" => ParamKind::Headers,
                "Req" | "Request" => ParamKind::Request,
                "Res" | "Response" => continue,
                name if ["user", "session"].iter().any(|word| name.to_lowercase().contains(word)) => ParamKind::Session,
                _ => continue,
            };
            let part = self.decorator_arguments(decorator).into_iter().next();
            let Some(param) = self.facts.functions.get_mut(id).and_then(|function| function.params.get_mut(at)) else {
                continue;
            };
            param.kind = kind;
            if let (Some(Argument::One(Expr::Literal(Literal::Text(name)))), true) = (part, kind != ParamKind::Session)
            {
                let into = std::mem::replace(&mut param.pattern, Pattern::Ignored);
                param.pattern = Pattern::Object(vec![PatternField { name, into }]);
            }
        }
    }

    fn decorator_name(&self, decorator: Node<'t>) -> &'t str {
        let inner = named(decorator).first().copied();
        let callee = inner.map(|inner| inner.child_as(Role::Function).unwrap_or(inner));
        callee.map(|callee| self.of(callee)).unwrap_or_default()
    }

    fn decorator_arguments(&mut self, decorator: Node<'t>) -> Vec<Argument> {
        let call = named(decorator).first().copied();
        match call.and_then(|call| call.child_as(Role::Arguments)) {
            Some(list) => self.arguments(list),
            None => Vec::new(),
        }
    }

    /// `'orders'`, `['orders', 'order']` or `{ path: 'orders' }`.
    fn decorated_path(&mut self, decorator: Node<'t>) -> String {
        let first = match self.decorator_arguments(decorator).into_iter().next() {
            Some(Argument::One(Expr::Array(elements))) => elements.into_iter().next(),
            first => first,
        };
        match first {
            Some(Argument::One(Expr::Literal(Literal::Text(path)))) => path,
            Some(Argument::One(Expr::Object(fields, _))) => fields
                .into_iter()
                .find_map(|field| match field {
                    Field::Named(name, Expr::Literal(Literal::Text(path)), _) if name == "path" => Some(path),
                    _ => None,
                })
                .unwrap_or_default(),
            _ => String::new(),
        }
    }
}

/// The decorators of a class: those before `export` are of the export.
pub(super) fn class_decorators(class: Node<'_>) -> Vec<Node<'_>> {
    let outer = class.parent().filter(|parent| parent.kind() == "export_statement");
    [Some(class), outer].into_iter().flatten().flat_map(decorators).collect()
}

fn decorators(node: Node<'_>) -> Vec<Node<'_>> {
    named(node).into_iter().filter(|child| child.kind() == "decorator").collect()
}

/// `orders/:id` as `/orders/{id}`.
fn shown(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let shown: String = parts
        .map(|part| match part.strip_prefix(':') {
            Some(name) => format!("/{{{name}}}"),
            None => format!("/{part}"),
        })
        .collect();
    if shown.is_empty() { "/".to_owned() } else { shown }
}
