//! What receives values.

use super::Follower;
use super::frame::Frame;
use super::value::{Shape, Value};
use crate::model::{Binary, Expr, Pattern};

impl Follower<'_> {
    /// Declares the pattern's names.
    pub(crate) fn bind(&mut self, pattern: &Pattern, value: Value, frame: &Frame) {
        match pattern {
            Pattern::Name(name, _) => frame.scope.declare(name, value, self.depth()),
            Pattern::Place(_) => self.put(pattern, value, frame),
            _ => self.take_apart(pattern, &value, frame, |follower, into, value| follower.bind(into, value, frame)),
        }
    }

    /// Gives what exists another value.
    fn put(&mut self, pattern: &Pattern, value: Value, frame: &Frame) {
        match pattern {
            Pattern::Name(name, _) => {
                if !frame.scope.assign(name, &value, self.depth()) {
                    frame.module.scope.declare(name, value, 0);
                }
            }
            Pattern::Place(place) => self.put_into(place, value, frame),
            _ => self.take_apart(pattern, &value, frame, |follower, into, value| follower.put(into, value, frame)),
        }
    }

    fn take_apart(
        &mut self,
        pattern: &Pattern,
        value: &Value,
        frame: &Frame,
        mut give: impl FnMut(&mut Self, &Pattern, Value),
    ) {
        match pattern {
            Pattern::Object(fields) => {
                for field in fields {
                    let taken = match &field.into {
                        Pattern::Rest(_) => value.clone(),
                        into => self.member(value, &field.name, frame, place_of(into)),
                    };
                    give(self, &field.into, taken);
                }
            }
            Pattern::Array(elements) => {
                for (at, into) in elements.iter().enumerate() {
                    let taken = match (&value.shape, into) {
                        (_, Pattern::Rest(_)) => value.clone(),
                        (Shape::List(list), _) => list
                            .borrow()
                            .get(at)
                            .cloned()
                            .unwrap_or_else(|| Value { shape: Shape::Unknown, ..value.clone() }),
                        _ => self.element(value),
                    };
                    give(self, into, taken);
                }
            }
            Pattern::Default(into, default) => {
                let value = match value.shape {
                    Shape::Nothing => self.expr(default, frame),
                    Shape::Unknown | Shape::Foreign(_) => {
                        let default = self.perhaps(|follower| follower.expr(default, frame));
                        let shape = value.shape.clone();
                        let mut joined = value.clone().join(default);
                        if matches!(joined.shape, Shape::Unknown) {
                            joined.shape = shape;
                        }
                        joined
                    }
                    _ => value.clone(),
                };
                give(self, into, value);
            }
            Pattern::Rest(into) => give(self, into, value.clone()),
            Pattern::Name(..) | Pattern::Place(_) | Pattern::Ignored => {}
        }
    }

    pub(crate) fn assign(&mut self, into: &Pattern, sign: Option<Binary>, value: &Expr, frame: &Frame) -> Value {
        let Some(sign) = sign else {
            let value = self.expr(value, frame);
            self.put(into, value.clone(), frame);
            return value;
        };
        let (old, place) = match into {
            Pattern::Name(name, _) => (self.name(name, frame), None),
            Pattern::Place(place) => (self.expr(place, frame), Some(place)),
            _ => (Value::default(), None),
        };
        let added = self.expr(value, frame);
        let sum = self.combined(sign, &old, &added);
        // `order.stock -= 1` is remembered as a change that is not the same twice.
        if let Some(place) = place {
            self.changed_by_sum(place, frame);
        }
        self.put(into, sum.clone(), frame);
        sum
    }

    fn put_into(&mut self, place: &Expr, value: Value, frame: &Frame) {
        let (object, name) = match place {
            Expr::Member(object, name, _) => (self.expr(object, frame), Some(name.clone())),
            Expr::Index(object, index, _) => {
                let index = self.expr(index, frame);
                (self.expr(object, frame), index.is_text().map(str::to_owned))
            }
            _ => return,
        };
        match (&object.shape, name) {
            (Shape::Object(fields), Some(name)) => {
                let old = fields.fields.borrow().get(&name).cloned();
                let value = match old {
                    Some(old) if self.depth() > 0 && old.from != value.from => value.join(old),
                    _ => value,
                };
                self.holds(fields);
                fields.fields.borrow_mut().insert(name, value);
            }
            (Shape::Object(fields), None) => {
                self.holds(fields);
                *fields.rest.borrow_mut() = Some(value);
            }
            (Shape::Request | Shape::Context, Some(name)) => {
                self.run.request_fields.insert(name, value);
            }
            (Shape::Response(_), Some(name)) if value.is_function() => self.run.answered_by.push((name, value)),
            (Shape::Foreign(path), Some(name)) => {
                self.run.assigned.entry(path.to_string()).or_default().push((name, value));
            }
            _ => {}
        }
    }

    fn changed_by_sum(&mut self, place: &Expr, frame: &Frame) {
        let Expr::Member(object, name, _) = place else { return };
        let object = self.expr(object, frame);
        if let Some(path) = object.path() {
            let mark = (format!("+{name}"), Value::default());
            self.run.assigned.entry(path.to_owned()).or_default().push(mark);
        }
    }
}

fn place_of(pattern: &Pattern) -> crate::model::Span {
    match pattern {
        Pattern::Name(_, span) => *span,
        Pattern::Default(into, _) | Pattern::Rest(into) => place_of(into),
        _ => crate::model::Span::default(),
    }
}
