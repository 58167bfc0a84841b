//! What is known of a value: where it comes from, and what it is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{BitOr, BitOrAssign};
use std::rc::Rc;

use super::modules::Module;
use super::scope::Scope;
use crate::model::{ClassId, FunctionId};

/// Where a value comes from: a set of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Origins(u32);

impl Origins {
    pub(crate) const NONE: Self = Self(0);
    /// Body, query, path, form, or a header.
    pub(crate) const REQUEST: Self = Self(1);
    /// A constant of the source.
    pub(crate) const LITERAL: Self = Self(1 << 1);
    /// A database, a file, a store.
    pub(crate) const STORED: Self = Self(1 << 2);
    /// An answer of the payment provider.
    pub(crate) const PROVIDER: Self = Self(1 << 3);
    /// Who is signed in.
    pub(crate) const SESSION: Self = Self(1 << 4);
    /// The tenant.
    pub(crate) const TENANT: Self = Self(1 << 5);
    /// The idempotency key.
    pub(crate) const KEY: Self = Self(1 << 6);
    /// The clock.
    pub(crate) const CLOCK: Self = Self(1 << 7);
    /// Random numbers.
    pub(crate) const RANDOM: Self = Self(1 << 8);
    /// A call that was not followed.
    pub(crate) const UNKNOWN: Self = Self(1 << 9);
    /// The request's bytes as they came.
    pub(crate) const RAW: Self = Self(1 << 10);
    /// The request's body after it was parsed.
    pub(crate) const PARSED: Self = Self(1 << 11);
    /// A record of an earlier answer.
    pub(crate) const RECORD: Self = Self(1 << 12);
    /// A message authentication code that was computed.
    pub(crate) const MAC: Self = Self(1 << 13);
    /// The answer of a verification that does not end the request by itself.
    pub(crate) const VERIFIED: Self = Self(1 << 14);
    /// The service's own settings.
    pub(crate) const SETTING: Self = Self(1 << 15);
    /// A webhook event whose signature was verified.
    pub(crate) const EVENT: Self = Self(1 << 16);
    /// The request's method.
    pub(crate) const METHOD: Self = Self(1 << 17);
    /// A cookie, or the header `Authorization`.
    pub(crate) const CREDENTIAL: Self = Self(1 << 18);
    /// A signature that came with a webhook.
    pub(crate) const SIGNATURE: Self = Self(1 << 19);
    /// A verification was given a body that had been parsed.
    pub(crate) const REPARSED: Self = Self(1 << 20);
    /// What a write into a database returned.
    pub(crate) const WRITTEN: Self = Self(1 << 21);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Origins {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOrAssign for Origins {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.and(other);
    }
}

/// What is known of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Value {
    pub(crate) from: Origins,
    /// Its text as far as it is known, with `{}` for the rest.
    pub(crate) text: Option<Rc<str>>,
    /// Which places of the request it comes from: `body.amount`.
    pub(crate) places: Places,
    /// The call that was not followed and that it comes from.
    pub(crate) unfollowed: Option<Rc<str>>,
    pub(crate) shape: Shape,
}

/// Places of the request, such as `body.amount`. Few at a time.
pub(crate) type Places = Option<Rc<Vec<Rc<str>>>>;

/// What a value is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shape {
    #[default]
    Unknown,
    /// Exactly the value's text.
    Text,
    Bool(bool),
    Nothing,
    Object(Rc<ObjectValue>),
    List(Rc<RefCell<Vec<Value>>>),
    Function(Rc<Closure>),
    Class(Rc<ClassValue>),
    /// All exports of a file of the tree.
    Module(Rc<Module>),
    /// Something outside of the tree, by the path that leads to it: `stripe#default().paymentIntents`.
    Foreign(Rc<str>),
    /// The request, of whatever framework.
    Request,
    Headers,
    /// The response that a handler is given, with the status that was set on it.
    Response(Option<u16>),
    /// Hono's and Koa's context, which is request and response in one.
    Context,
    /// The next handler.
    Next,
    /// A router that routes are registered on.
    Router(usize),
    /// What a call that was not followed made of functions: its name, and the functions.
    Wrapped(Rc<str>, Rc<Vec<Value>>),
}

#[derive(Debug, Default)]
pub(crate) struct ObjectValue {
    pub(crate) fields: RefCell<BTreeMap<String, Value>>,
    /// What was spread into it without known fields.
    pub(crate) rest: RefCell<Option<Value>>,
    pub(crate) class: Option<Rc<ClassValue>>,
}

#[derive(Debug)]
pub(crate) struct Closure {
    pub(crate) module: Rc<Module>,
    pub(crate) id: FunctionId,
    pub(crate) scope: Rc<Scope>,
    pub(crate) this: Option<Value>,
}

#[derive(Debug)]
pub(crate) struct ClassValue {
    pub(crate) module: Rc<Module>,
    pub(crate) id: ClassId,
    pub(crate) scope: Rc<Scope>,
}

impl Value {
    pub(crate) fn of(from: Origins) -> Self {
        Self { from, ..Self::default() }
    }

    pub(crate) fn shaped(shape: Shape) -> Self {
        Self { shape, ..Self::default() }
    }

    pub(crate) fn literal(text: &str) -> Self {
        Self { from: Origins::LITERAL, text: Some(text.into()), shape: Shape::Text, ..Self::default() }
    }

    pub(crate) fn foreign(path: &str) -> Self {
        Self::shaped(Shape::Foreign(shortened(path)))
    }

    /// Of a place of the request.
    pub(crate) fn request(place: &str) -> Self {
        Self { from: Origins::REQUEST, places: Some(Rc::new(vec![place.into()])), ..Self::default() }
    }

    pub(crate) fn object(fields: BTreeMap<String, Value>) -> Self {
        let object = ObjectValue { fields: RefCell::new(fields), ..ObjectValue::default() };
        Self::shaped(Shape::Object(Rc::new(object)))
    }

    pub(crate) fn list(elements: Vec<Value>) -> Self {
        Self::shaped(Shape::List(Rc::new(RefCell::new(elements))))
    }

    pub(crate) fn is_text(&self) -> Option<&str> {
        match self.shape {
            Shape::Text => self.text.as_deref(),
            _ => None,
        }
    }

    /// The text as far as it is known; a setting by its name: `{PAYPAL_URL}`.
    pub(crate) fn shown_text(&self) -> Rc<str> {
        if let Some(text) = &self.text {
            return Rc::clone(text);
        }
        let setting = self.path().filter(|_| self.from.has(Origins::SETTING));
        let name = setting.and_then(|path| path.rsplit('.').next()).unwrap_or_default();
        format!("{{{name}}}").into()
    }

    pub(crate) fn path(&self) -> Option<&str> {
        match &self.shape {
            Shape::Foreign(path) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn is_function(&self) -> bool {
        matches!(self.shape, Shape::Function(_) | Shape::Wrapped(..))
    }

    /// Either of two.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.from |= other.from;
        self.places = joined(&self.places, &other.places);
        self.unfollowed = self.unfollowed.or(other.unfollowed);
        self.text = self.text.or(other.text);
        self.shape = match (self.shape, other.shape) {
            (Shape::Bool(one), Shape::Bool(two)) if one == two => Shape::Bool(one),
            (Shape::Unknown | Shape::Nothing | Shape::Text | Shape::Bool(_), other) => match other {
                Shape::Text | Shape::Bool(_) => Shape::Unknown,
                other => other,
            },
            (Shape::Object(one), Shape::Object(two)) if !Rc::ptr_eq(&one, &two) => Shape::Object(either(&one, &two)),
            (shape, _) => shape,
        };
        self
    }

    /// Takes another one's sources, and nothing of what it is.
    pub(crate) fn tainted(mut self, other: &Self) -> Self {
        self.from |= other.from;
        self.places = joined(&self.places, &other.places);
        self.unfollowed = self.unfollowed.or_else(|| other.unfollowed.clone());
        self
    }

    /// The sources of this and of everything in it, to a few levels.
    pub(crate) fn whole(&self) -> Self {
        self.summed(6)
    }

    fn summed(&self, levels: u32) -> Self {
        let mut sum = Self {
            from: self.from,
            places: self.places.clone(),
            unfollowed: self.unfollowed.clone(),
            text: self.text.clone(),
            shape: Shape::Unknown,
        };
        let Some(levels) = levels.checked_sub(1) else { return sum };
        match &self.shape {
            Shape::Object(object) => {
                for value in object.fields.borrow().values() {
                    sum = sum.tainted(&value.summed(levels));
                }
                if let Some(rest) = &*object.rest.borrow() {
                    sum = sum.tainted(&rest.summed(levels));
                }
            }
            Shape::List(elements) => {
                for value in elements.borrow().iter() {
                    sum = sum.tainted(&value.summed(levels));
                }
            }
            _ => {}
        }
        sum
    }

    /// The last name of the path that leads to it, or of its place in the request.
    pub(crate) fn last_name(&self) -> &str {
        let path = self.path().or_else(|| {
            self.places.as_ref().filter(|places| places.len() == 1).and_then(|places| places.first().map(AsRef::as_ref))
        });
        path.map(|path| path.rsplit('.').next().unwrap_or_default()).unwrap_or_default()
    }
}

/// Fields of both; a field that only one has is in it.
fn either(one: &ObjectValue, two: &ObjectValue) -> Rc<ObjectValue> {
    let mut fields = one.fields.borrow().clone();
    for (name, value) in two.fields.borrow().iter() {
        let joined = match fields.remove(name) {
            // Not deeper, since objects may hold each other.
            Some(first) => Value { shape: first.shape.clone(), ..first.tainted(value) },
            None => value.clone(),
        };
        fields.insert(name.clone(), joined);
    }
    let rest = one.rest.borrow().clone().or_else(|| two.rest.borrow().clone());
    let class = one.class.clone().or_else(|| two.class.clone());
    Rc::new(ObjectValue { fields: RefCell::new(fields), rest: RefCell::new(rest), class })
}

fn joined(one: &Places, two: &Places) -> Places {
    match (one, two) {
        (places, None) | (None, places) => places.clone(),
        (Some(one), Some(two)) if Rc::ptr_eq(one, two) => Some(Rc::clone(one)),
        (Some(one), Some(two)) => {
            let mut all = one.to_vec();
            all.extend(two.iter().filter(|place| !one.contains(place)).cloned());
            all.truncate(24);
            Some(Rc::new(all))
        }
    }
}

/// A path that is too long keeps its end, which says most.
pub(crate) fn shortened(path: &str) -> Rc<str> {
    const LONGEST: usize = 240;
    let mut start = path.len().saturating_sub(LONGEST);
    while !path.is_char_boundary(start) {
        start = start.saturating_add(1);
    }
    path.get(start..).unwrap_or_default().into()
}
