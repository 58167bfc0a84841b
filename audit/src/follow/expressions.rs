//! Expressions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Follower;
use super::branches::Flow;
use super::compare::asks_for_nothing;
use super::frame::Frame;
use super::origins::Origins;
use super::value::{ObjectValue, Shape, Value};
use super::words::has_word;
use super::written::written;
use crate::model::{Argument, Binary, Expr, Field, Literal, Span, Unary};

/// Words for how many, which are the customer's to choose.
const QUANTITIES: &[&str] = &["qty", "quantity", "count", "unit", "seat", "night", "guest", "ticket", "copy"];

impl Follower<'_> {
    pub(crate) fn expr(&mut self, expr: &Expr, frame: &Frame) -> Value {
        if !self.may_go_on() {
            return Value { unfollowed: Some("the rest of the handler".into()), ..Value::of(Origins::UNKNOWN) };
        }
        match expr {
            Expr::Opaque(_) => Value::of(Origins::UNKNOWN),
            Expr::Name(name, _) => self.name(name, frame),
            Expr::This => frame.this.clone().unwrap_or_default(),
            Expr::Literal(literal) => constant(literal),
            Expr::Template(parts) => self.template(parts, frame),
            Expr::Member(object, name, span) => {
                let object = self.expr(object, frame);
                self.member(&object, name, frame, *span)
            }
            Expr::Index(object, index, span) => self.index(object, index, frame, *span),
            Expr::Call(call) => self.call(call, frame),
            Expr::Object(fields, _) => self.object(fields, frame),
            Expr::Struct(of, fields) => {
                let fields = self.expr(fields, frame);
                self.of_type(of, fields, frame)
            }
            Expr::Array(elements) => {
                let (elements, _) = self.arguments(elements, frame);
                Value::list(elements)
            }
            Expr::Binary(sign, left, right, span) => self.binary(*sign, left, right, frame, *span),
            Expr::Unary(sign, inner) => {
                let value = self.expr(inner, frame);
                match (sign, &value.shape) {
                    (Unary::Not, Shape::Bool(known)) => Value { shape: Shape::Bool(!known), ..value },
                    (Unary::Not, _) => {
                        self.compared_alone(&value, frame, Span::default());
                        value.whole()
                    }
                    _ => value,
                }
            }
            Expr::Choice(condition, yes, no) => self.choice(condition, yes, no, frame),
            Expr::Assign(into, sign, value) => self.assign(into, *sign, value, frame),
            Expr::Function(id) => self.closure(*id, frame),
            Expr::Class(id) => self.class(*id, frame),
            Expr::Await(inner) | Expr::Same(inner) => self.expr(inner, frame),
            Expr::Try(inner) => {
                let value = self.expr(inner, frame);
                self.tried(&value, inner, frame);
                value
            }
            Expr::Sequence(parts) => {
                let mut last = Value::default();
                for part in parts {
                    last = self.expr(part, frame);
                }
                last
            }
        }
    }

    pub(crate) fn name(&mut self, name: &str, frame: &Frame) -> Value {
        if let Some(value) = frame.scope.find(name) {
            return value;
        }
        match name {
            "undefined" | "NaN" => return Value { from: Origins::LITERAL, ..Value::shaped(Shape::Nothing) },
            _ => {}
        }
        let module = Rc::clone(&frame.module);
        self.imported(&module, name).unwrap_or_else(|| Value::foreign(name))
    }

    fn template(&mut self, parts: &[Expr], frame: &Frame) -> Value {
        let mut sum = Value::of(Origins::LITERAL);
        let mut text = String::new();
        let mut exact = true;
        for part in parts {
            let value = self.expr(part, frame);
            exact &= value.is_text().is_some();
            if text.len() < 2000 {
                text.push_str(&value.shown_text());
            } else {
                text.push_str("{}");
            }
            sum = sum.tainted(&value.whole());
        }
        sum.text = Some(text.into());
        sum.shape = if exact { Shape::Text } else { Shape::Unknown };
        sum
    }

    fn index(&mut self, object: &Expr, index: &Expr, frame: &Frame, span: Span) -> Value {
        let object = self.expr(object, frame);
        let index = self.expr(index, frame);
        if let Some(name) = index.is_text() {
            return self.member(&object, name, frame, span);
        }
        match &object.shape {
            Shape::Object(fields) if index.from.has(Origins::METHOD) => {
                // `handlers[req.method]`.
                let names: Vec<String> = fields.fields.borrow().keys().cloned().collect();
                self.run.mentions.extend(names.iter().map(|name| name.to_uppercase()));
                let method = self.run.method.clone();
                let found = names.into_iter().find(|name| Some(name.to_uppercase()) == method);
                found.and_then(|name| fields.fields.borrow().get(&name).cloned()).unwrap_or_default()
            }
            // A price that is picked from a table is the table's, however it is picked.
            _ => self.element(&object),
        }
    }

    fn object(&mut self, fields: &[Field], frame: &Frame) -> Value {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let mut rest: Option<Value> = None;
        for field in fields {
            match field {
                Field::Named(name, value, _) => {
                    let value = self.expr(value, frame);
                    known.insert(name.clone(), value);
                }
                Field::Computed(name, value) => {
                    let name = self.expr(name, frame);
                    let value = self.expr(value, frame);
                    match name.is_text() {
                        Some(name) => {
                            known.insert(name.to_owned(), value);
                        }
                        None => value.join_to(&mut rest),
                    }
                }
                Field::Spread(value) => {
                    let value = self.expr(value, frame);
                    match &value.shape {
                        Shape::Object(spread) => {
                            for (name, value) in spread.fields.borrow().iter() {
                                known.insert(name.clone(), value.clone());
                            }
                            if let Some(value) = &*spread.rest.borrow() {
                                value.clone().join_to(&mut rest);
                            }
                        }
                        Shape::Nothing | Shape::Bool(_) | Shape::Text => {}
                        _ => value.join_to(&mut rest),
                    }
                }
            }
        }
        let object = ObjectValue { fields: known.into(), rest: rest.into(), ..ObjectValue::default() };
        Value::shaped(Shape::Object(Rc::new(object)))
    }

    /// The fields of a struct, with the methods of its type if that is one of the tree.
    fn of_type(&mut self, of: &Expr, fields: Value, frame: &Frame) -> Value {
        let Shape::Object(made) = &fields.shape else { return fields };
        let class = match self.expr(of, frame).shape {
            Shape::Class(class) => Some(class),
            _ => None,
        };
        let (known, rest) = (made.fields.borrow().clone(), made.rest.borrow().clone());
        let object = ObjectValue { fields: known.into(), rest: rest.into(), class, of: Some(written(of).into()) };
        Value { shape: Shape::Object(Rc::new(object)), ..fields }
    }

    fn binary(&mut self, sign: Binary, left: &Expr, right: &Expr, frame: &Frame, span: Span) -> Value {
        let one = self.expr(left, frame);
        match sign {
            Binary::And | Binary::Or | Binary::Coalesce => self.short(sign, one, right, frame, span),
            Binary::Equal | Binary::Unequal | Binary::Order => {
                let two = self.expr(right, frame);
                let result = self.compared(sign, &one, &two, frame, span);
                let free = asks_for_nothing(&one, right) || asks_for_nothing(&two, left);
                if free { Value { from: result.from | Origins::FREE, ..result } } else { result }
            }
            _ => {
                let two = self.expr(right, frame);
                self.combined(sign, &one, &two)
            }
        }
    }

    /// `&&`, `||` and `??`: the right side at times.
    fn short(&mut self, sign: Binary, one: Value, right: &Expr, frame: &Frame, span: Span) -> Value {
        if one.from.has(Origins::METHOD)
            && let Shape::Bool(known) = one.shape
        {
            return match (sign, known) {
                (Binary::And, true) | (Binary::Or, false) => self.expr(right, frame),
                _ => one,
            };
        }
        if sign == Binary::And {
            self.compared_alone(&one, frame, span);
        }
        let branching = self.branching(&one);
        let two = self.in_arm(branching, 0, |follower| {
            if sign == Binary::And {
                follower.proven(&one, frame, span);
            }
            follower.expr(right, frame)
        });
        if two.from.has(Origins::METHOD)
            && let Shape::Bool(known) = two.shape
        {
            // `valid || method is POST`: the left side may still decide.
            return match (sign, known) {
                (Binary::And, false) | (Binary::Or, true) => two,
                _ => one.whole(),
            };
        }
        match sign {
            // A condition is decided by both; what is yielded is the right side, or nothing.
            Binary::And => Value { shape: two.shape.clone(), ..two }.tainted_if_plain(&one),
            _ if matches!(one.shape, Shape::Nothing) => two,
            _ => one.join(two),
        }
    }

    /// Two values in one: a sum, a product, a joined text.
    pub(crate) fn combined(&mut self, sign: Binary, one: &Value, two: &Value) -> Value {
        let (one, two) = (one.whole(), two.whole());
        let text = match (sign, &one.text, &two.text) {
            (Binary::Add, None, None) => None,
            (Binary::Add, left, right) => {
                let part = |text: &Option<Rc<str>>| text.clone().unwrap_or_else(|| "{}".into());
                Some(format!("{}{}", part(left), part(right)))
            }
            _ => None,
        };
        let exact = sign == Binary::Add && is_known(&one) && is_known(&two);
        let mut sum = one.clone().tainted(&two);
        // A stored price times a quantity is a stored amount.
        let stored = Origins::STORED.and(Origins::PROVIDER).and(Origins::SESSION);
        if sign == Binary::Multiply && (one.from.has(stored) != two.from.has(stored)) {
            let price = if one.from.has(stored) { &one } else { &two };
            if !price.from.has(Origins::REQUEST) {
                sum = price.clone();
            }
        }
        // A constant price times a quantity is a constant amount; a constant times an amount is not.
        for (price, quantity) in [(&one, &two), (&two, &one)] {
            let constant = Origins::LITERAL.and(Origins::SETTING);
            if sign == Binary::Multiply
                && price.from.without(constant) == Origins::NONE
                && price.from.has(constant)
                && has_word(quantity.last_name(), QUANTITIES)
            {
                sum = price.clone();
            }
        }
        sum.text = text.map(Into::into);
        sum.shape = if exact { Shape::Text } else { Shape::Unknown };
        sum
    }

    fn choice(&mut self, condition: &Expr, yes: &Expr, no: &Expr, frame: &Frame) -> Value {
        let condition = self.expr(condition, frame);
        let yielded: RefCell<Option<Value>> = RefCell::default();
        let give = |value: Value| {
            value.join_to(&mut yielded.borrow_mut());
            Flow::Next
        };
        self.choose(
            &condition,
            frame,
            Span::default(),
            [&mut |follower| give(follower.expr(yes, frame)), &mut |follower| give(follower.expr(no, frame))],
        );
        yielded.into_inner().unwrap_or_default()
    }

    /// Arguments, and whether some are not known one by one.
    pub(crate) fn arguments(&mut self, arguments: &[Argument], frame: &Frame) -> (Vec<Value>, bool) {
        let mut values = Vec::with_capacity(arguments.len());
        let mut open = false;
        for argument in arguments {
            match argument {
                Argument::One(value) => values.push(self.expr(value, frame)),
                Argument::Spread(value) => {
                    let value = self.expr(value, frame);
                    if let Shape::List(elements) = &value.shape {
                        values.extend(elements.borrow().iter().cloned());
                    } else {
                        open = true;
                        values.push(value);
                    }
                }
            }
        }
        (values, open)
    }
}

impl Value {
    /// In a condition the sources of both sides count; an object stays what it is.
    fn tainted_if_plain(self, other: &Self) -> Self {
        match self.shape {
            Shape::Unknown | Shape::Bool(_) => Self { shape: Shape::Unknown, ..self.tainted(&other.whole()) },
            _ => self,
        }
    }
}

fn is_known(value: &Value) -> bool {
    value.text.as_ref().is_some_and(|text| !text.contains("{}"))
        && value.from.without(Origins::LITERAL) == Origins::NONE
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) | Literal::Number(text) => Value::literal(text),
        Literal::Bool(known) => Value { from: Origins::LITERAL, ..Value::shaped(Shape::Bool(*known)) },
        Literal::Nothing => Value { from: Origins::LITERAL, ..Value::shaped(Shape::Nothing) },
        Literal::Pattern => Value::of(Origins::LITERAL),
    }
}
