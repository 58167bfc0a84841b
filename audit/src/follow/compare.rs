//! Comparisons, and what they prove.

use super::Follower;
use super::frame::Frame;
use super::origins::Origins;
use super::paths::{compared_path, decided, settled_path};
use super::value::{Shape, Value};
use super::words::has_word;
use super::written::written;
use crate::model::{Binary, EventKind, Expr, Span};

/// Names that say whether a payment is paid.
const STATES: &[&str] = &["status", "paid", "captured", "state", "succeeded", "completed", "approved"];
/// Names of what was paid.
const AMOUNTS: &[&str] = &["amount", "total", "currency", "value", "price", "sum", "received", "gross"];

/// Words of who may set a state by hand.
const STAFF: &[&str] = &[
    "role",
    "admin",
    "staff",
    "permission",
    "superuser",
    "superadmin",
    "seller",
    "vendor",
    "merchant",
    "manager",
    "employee",
    "cashier",
    "restrict",
];

impl Follower<'_> {
    pub(crate) fn compared(&mut self, sign: Binary, one: &Value, two: &Value, frame: &Frame, span: Span) -> Value {
        if let Some(known) = compared_path(sign, one, two).or_else(|| self.compared_method(sign, one, two)) {
            return known;
        }
        let (left, right) = (one.whole(), two.whole());
        for (this, that) in [(&left, &right), (&right, &left)] {
            self.prove(this, that, one, two, frame, span);
        }
        self.staff_compared(one, frame, span);
        self.staff_compared(two, frame, span);
        let mut result = left.clone().tainted(&right);
        result.shape = Shape::Unknown;
        result.text = None;
        if sign != Binary::Order && is_verification(&left, &right) {
            result.from |= Origins::VERIFIED;
        }
        result
    }

    fn prove(&mut self, this: &Value, that: &Value, one: &Value, two: &Value, frame: &Frame, span: Span) {
        if this.from.has(Origins::REQUEST)
            && !this.from.has(Origins::STORED)
            && that.from.has(Origins::STORED.and(Origins::PROVIDER))
            && !that.from.has(Origins::REQUEST)
        {
            self.run.compared.extend(this.places.iter().flat_map(|places| places.iter().cloned()));
        }
        if this.from.has(Origins::RECORD) && that.from.has(Origins::REQUEST) && !that.from.has(Origins::KEY) {
            self.emit(EventKind::Fingerprint, frame, span);
        }
        if this.from.has(Origins::PROVIDER.and(Origins::EVENT)) {
            self.payment_compared(one, frame, span);
            self.payment_compared(two, frame, span);
            let stored = Origins::STORED.and(Origins::REQUEST);
            if that.from.has(stored) && !that.from.has(Origins::PROVIDER) && has_word(that.last_name(), AMOUNTS) {
                self.emit(EventKind::AmountCompared, frame, span);
            }
        }
    }

    /// A comparison, or a condition by itself, of what the provider said.
    fn payment_compared(&mut self, value: &Value, frame: &Frame, span: Span) {
        if !value.from.has(Origins::PROVIDER.and(Origins::EVENT)) {
            return;
        }
        let name = value.last_name().to_owned();
        if has_word(&name, STATES) {
            self.emit(EventKind::PaidCompared, frame, span);
        } else if has_word(&name, AMOUNTS) {
            self.emit(EventKind::AmountCompared, frame, span);
        }
    }

    /// A condition that is no comparison: `if (!intent.paid)`, `switch (intent.status)`.
    pub(crate) fn compared_alone(&mut self, condition: &Value, frame: &Frame, span: Span) {
        self.payment_compared(condition, frame, span);
        self.staff_compared(condition, frame, span);
    }

    /// `user.role === 'admin'`, `if (!user.isAdmin)`: what the request's body says of its sender does not count.
    fn staff_compared(&mut self, value: &Value, frame: &Frame, span: Span) {
        let known = Origins::SESSION.and(Origins::STORED).and(Origins::UNKNOWN).and(Origins::SETTING);
        let from = known.and(Origins::CREDENTIAL);
        if value.from.has(from) && is_staff(value.last_name()) {
            self.emit(EventKind::Staff, frame, span);
        }
    }

    /// `req.method === 'POST'`: known, if it is settled for which method this is.
    fn compared_method(&mut self, sign: Binary, one: &Value, two: &Value) -> Option<Value> {
        let asked = if one.from.has(Origins::METHOD) {
            two.is_text()
        } else if two.from.has(Origins::METHOD) {
            one.is_text()
        } else {
            None
        }?;
        let asked = asked.to_uppercase();
        self.run.mentions.insert(asked.clone());
        let Some(method) = &self.run.method else {
            return Some(Value::of(Origins::METHOD));
        };
        let equal = *method == asked;
        let known = if sign == Binary::Unequal { !equal } else { equal };
        Some(decided(known))
    }

    /// `['POST', 'PUT'].includes(req.method)`.
    pub(crate) fn includes_method(&mut self, list: &Value, given: &Value) -> Option<Value> {
        let Shape::List(elements) = &list.shape else { return None };
        if !given.from.has(Origins::METHOD) {
            return None;
        }
        if let Some(path) = settled_path(given) {
            return Some(decided(elements.borrow().iter().any(|element| element.is_text() == Some(path))));
        }
        let known: Vec<String> =
            elements.borrow().iter().filter_map(|element| element.is_text().map(str::to_uppercase)).collect();
        self.run.mentions.extend(known.iter().cloned());
        let method = self.run.method.clone()?;
        Some(decided(known.contains(&method)))
    }
}

/// Whether a name is about staff: a role, `isAdmin`, a permission; `vendorId` is none.
pub(super) fn is_staff(name: &str) -> bool {
    has_word(name, STAFF) && !has_word(name, &["id"])
}

/// `total === 0`, `price <= 0`: whether there is nothing to pay, by how the other side is written.
pub(super) fn asks_for_nothing(value: &Value, other: &Expr) -> bool {
    value.is_text() == Some("0") && has_word(&written(other), AMOUNTS)
}

/// Whether it is compared what only the sender and the service know.
fn is_verification(one: &Value, two: &Value) -> bool {
    let sent = Origins::REQUEST.and(Origins::SIGNATURE).and(Origins::CREDENTIAL);
    [(one, two), (two, one)].iter().any(|(known, given)| {
        let known_here = known.from.has(Origins::MAC) || (known.from.has(Origins::SETTING) && !known.from.has(sent));
        known_here && given.from.has(sent) && !given.from.has(Origins::MAC)
    })
}
