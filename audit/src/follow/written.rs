//! How an expression is written, short.

use crate::model::{Argument, Expr, Literal};

/// How a callee is written: `stripe.paymentIntents.create`.
pub(crate) fn written(expr: &Expr) -> String {
    let text = part(expr, 24);
    if text.len() > 80 { text.chars().take(80).collect() } else { text }
}

fn part(expr: &Expr, levels: u32) -> String {
    let Some(levels) = levels.checked_sub(1) else { return "…".to_owned() };
    match expr {
        Expr::Name(name, _) => match name.strip_prefix("module ") {
            Some(from) => format!("require('{from}')"),
            None => name.trim_end_matches("::").to_owned(),
        },
        Expr::This => "this".to_owned(),
        Expr::Member(object, name, _) => format!("{}.{name}", part(object, levels)),
        Expr::Index(object, _, _) => format!("{}[…]", part(object, levels)),
        Expr::Call(call) => {
            let given = match call.arguments.first() {
                Some(Argument::One(Expr::Literal(Literal::Text(text)))) if text.len() < 24 => format!("'{text}'"),
                Some(Argument::One(Expr::Name(name, _))) => name.clone(),
                Some(_) => "…".to_owned(),
                None => String::new(),
            };
            let new = if call.constructs { "new " } else { "" };
            format!("{new}{}({given})", part(&call.callee, levels))
        }
        Expr::Await(inner) | Expr::Same(inner) | Expr::Try(inner) => part(inner, levels),
        Expr::Function(_) => "function".to_owned(),
        _ => "…".to_owned(),
    }
}
