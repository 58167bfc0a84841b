//! What is known of a value: where it comes from, and what it is.
//!
//! A value may be a file or a function, which hold names, which hold values: all of them stand here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::origins::Origins;
use crate::model::{ClassId, FileFacts, FunctionId};

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
    /// A function that tells whether the request's path is one of these patterns.
    Paths(Rc<Vec<String>>),
}

#[derive(Debug, Default)]
pub(crate) struct ObjectValue {
    pub(crate) fields: RefCell<BTreeMap<String, Value>>,
    /// What was spread into it without known fields.
    pub(crate) rest: RefCell<Option<Value>>,
    pub(crate) class: Option<Rc<ClassValue>>,
    /// The type of a struct, as it is written.
    pub(crate) of: Option<Rc<str>>,
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

/// A file that was loaded.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) facts: Arc<FileFacts>,
    pub(crate) scope: Rc<Scope>,
    /// Imports by the name they have here.
    pub(super) imports: HashMap<String, usize>,
    /// Exported expressions that were evaluated, by their places among the exports.
    pub(super) values: RefCell<HashMap<usize, Value>>,
    /// How many lookups of an export are under way here.
    pub(super) looking: Cell<u32>,
}

/// The names of a block, a function or a module.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    names: RefCell<HashMap<Rc<str>, Local>>,
    outer: Option<Rc<Scope>>,
}

#[derive(Debug, Clone)]
struct Local {
    value: Value,
    /// How many branches it was declared in: what is assigned deeper may not have been.
    depth: usize,
}

/// What values are put into after it was made. They may hold it in turn, so that it would live for ever.
pub(crate) trait Holds {
    /// Lets go of everything in it.
    fn clear(&self);
}

impl Holds for Scope {
    fn clear(&self) {
        self.names.borrow_mut().clear();
    }
}

impl Holds for ObjectValue {
    fn clear(&self) {
        self.fields.borrow_mut().clear();
        self.rest.borrow_mut().take();
    }
}

impl Holds for RefCell<Vec<Value>> {
    fn clear(&self) {
        self.borrow_mut().clear();
    }
}

impl Holds for Module {
    fn clear(&self) {
        self.scope.clear();
        self.values.borrow_mut().clear();
    }
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

    /// Of the request's bytes as they came.
    pub(crate) fn raw(place: &str) -> Self {
        Self { from: Origins::REQUEST.and(Origins::RAW), ..Self::request(place) }
    }

    /// Of the request after it was parsed.
    pub(crate) fn parsed(place: &str) -> Self {
        Self { from: Origins::REQUEST.and(Origins::PARSED), ..Self::request(place) }
    }

    /// What was made of functions that are among what was given; `None` if there are none.
    pub(crate) fn wrapping(name: &str, given: &[Self]) -> Option<Self> {
        let functions: Vec<Self> = given.iter().filter(|given| given.is_function()).cloned().collect();
        (!functions.is_empty()).then(|| Self::shaped(Shape::Wrapped(name.into(), Rc::new(functions))))
    }

    pub(crate) fn object(fields: BTreeMap<String, Value>) -> Self {
        let object = ObjectValue { fields: RefCell::new(fields), ..ObjectValue::default() };
        Self::shaped(Shape::Object(Rc::new(object)))
    }

    pub(crate) fn list(elements: Vec<Value>) -> Self {
        Self::shaped(Shape::List(Rc::new(RefCell::new(elements))))
    }

    /// The same sources, and what a call of this path yields.
    pub(crate) fn called(self, path: &str) -> Self {
        Self { shape: Self::foreign(&format!("{path}()")).shape, ..self }
    }

    /// A field, if this is an object that has it.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        match &self.shape {
            Shape::Object(object) => object.fields.borrow().get(name).cloned(),
            _ => None,
        }
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

    /// Either of what is known so far, if anything is, and of this.
    pub(crate) fn join_to(self, known: &mut Option<Self>) {
        *known = Some(match known.take() {
            Some(other) => other.join(self),
            None => self,
        });
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

impl Scope {
    pub(crate) fn inside(outer: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { names: RefCell::default(), outer: Some(Rc::clone(outer)) })
    }

    pub(crate) fn declare(&self, name: &str, value: Value, depth: usize) {
        self.names.borrow_mut().insert(name.into(), Local { value, depth });
    }

    pub(crate) fn find(&self, name: &str) -> Option<Value> {
        if let Some(local) = self.names.borrow().get(name) {
            return Some(local.value.clone());
        }
        let mut scope = self.outer.as_ref();
        while let Some(inner) = scope {
            if let Some(local) = inner.names.borrow().get(name) {
                return Some(local.value.clone());
            }
            scope = inner.outer.as_ref();
        }
        None
    }

    /// Gives a name another value. In a branch that the name was not declared in, it may keep the old one, too.
    pub(crate) fn assign(&self, name: &str, value: &Value, depth: usize) -> bool {
        if let Some(local) = self.names.borrow_mut().get_mut(name) {
            let old = std::mem::take(&mut local.value);
            local.value = if local.depth == depth { value.clone() } else { value.clone().join(old) };
            return true;
        }
        self.outer.as_ref().is_some_and(|outer| outer.assign(name, value, depth))
    }
}

/// Everything that is given, in one.
pub(crate) fn total(given: &[Value]) -> Value {
    let sum = given.iter().fold(Value::default(), |sum, given| sum.tainted(&given.whole()));
    match given {
        [only] => Value { text: only.text.clone(), ..sum },
        _ => sum,
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
    let of = one.of.clone().or_else(|| two.of.clone());
    Rc::new(ObjectValue { fields: RefCell::new(fields), rest: RefCell::new(rest), class, of })
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

/// A text, or a list of texts.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value.map(|value| (&value.shape, value)) {
        Some((Shape::Text, value)) => vec![value.text.as_deref().unwrap_or_default().to_owned()],
        Some((Shape::List(list), _)) => {
            list.borrow().iter().filter_map(|value| value.is_text().map(str::to_owned)).collect()
        }
        // A path that is joined with something unknown.
        Some((Shape::Unknown, value)) => value.text.iter().map(|text| text.replace("{}", "")).collect(),
        _ => Vec::new(),
    }
}
