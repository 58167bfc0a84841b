//! Functions of the tree: what they are given, and what they yield.

use std::rc::Rc;

use super::frame::Frame;
use super::origins::Origins;
use super::value::{ClassValue, Closure, ObjectValue, Shape, Value};
use super::words::has_word;
use super::{DEEPEST_CALL, Follower};
use crate::model::{EventKind, Function, Language, Param, ParamKind, Pattern, Span};

/// Levels of classes that extend each other.
const DEEPEST_CLASS: u32 = 8;

impl Follower<'_> {
    /// Calls a value.
    pub(crate) fn apply(&mut self, function: &Value, given: Vec<Value>, frame: &Frame, span: Span) -> Value {
        match &function.shape {
            Shape::Function(closure) => self.enter(closure, given, None, frame, span),
            Shape::Wrapped(name, inner) => {
                self.wrapped_by(name, frame, span);
                let mut yielded = Value::default();
                for function in inner.iter() {
                    yielded = yielded.join(self.apply(function, given.clone(), frame, span));
                }
                yielded
            }
            Shape::Class(class) => self.construct(class, given, frame, span),
            Shape::Next => {
                self.run.went_on = Some(self.run.events.len());
                Value::default()
            }
            _ => given.iter().fold(Value::of(Origins::UNKNOWN), Value::tainted),
        }
    }

    /// Calls a function of the tree, unless that is too deep.
    pub(crate) fn enter(
        &mut self,
        closure: &Rc<Closure>,
        given: Vec<Value>,
        this: Option<Value>,
        frame: &Frame,
        span: Span,
    ) -> Value {
        let facts = Rc::clone(&closure.module);
        let Some(function) = facts.facts.functions.get(closure.id) else {
            return Value::default();
        };
        let place = (closure.module.facts.path.clone(), closure.id);
        let again = self.run.stack.contains(&place);
        let deep = self.run.stack.len() >= DEEPEST_CALL.saturating_mul(2)
            || self.run.trail.len() > DEEPEST_CALL && !function.name.is_empty();
        if again || deep {
            if deep {
                let name = function.name.clone();
                let sees_request = given.iter().any(sees_request);
                self.emit(EventKind::Unfollowed { name, sees_request }, frame, span);
            }
            let sum = given.iter().fold(Value::of(Origins::UNKNOWN), |sum, value| sum.tainted(&value.whole()));
            return Value { unfollowed: Some(function.name.as_str().into()), ..sum };
        }
        let answers = |value: &Value| matches!(value.shape, Shape::Response(_) | Shape::Next);
        if given.first().is_some_and(sees_request) && given.get(1).is_some_and(answers) {
            self.run.home = Some(place.0.clone());
        }
        self.run.stack.push(place);
        let named = !function.name.is_empty();
        if named {
            self.run.trail.push((frame.module.facts.path.clone(), span));
        }
        let inner = Frame {
            module: Rc::clone(&closure.module),
            scope: self.inner_scope(&closure.scope),
            this: this.or_else(|| closure.this.clone()),
            returned: Rc::default(),
        };
        self.give(function, given, &inner);
        self.block(&function.body, &inner);
        if named {
            self.run.trail.pop();
        }
        self.run.stack.pop();
        inner.returned.take().unwrap_or_else(|| Value::shaped(Shape::Nothing))
    }

    /// Gives a function its parameters.
    fn give(&mut self, function: &Function, given: Vec<Value>, frame: &Frame) {
        let mut given = given.into_iter();
        for param in &function.params {
            let value = if let Pattern::Rest(_) = param.pattern {
                Value::list(given.by_ref().collect())
            } else {
                let value = given.next();
                self.param(param, value, frame)
            };
            self.bind(&param.pattern, value, frame);
        }
    }

    fn param(&mut self, param: &Param, given: Option<Value>, frame: &Frame) -> Value {
        let span = Span::default();
        match param.kind {
            ParamKind::Plain => match given {
                Some(value) if !is_unknown(&value) => value,
                None if frame.module.facts.language == Language::Rust => self.extracted(param, frame),
                other => match &param.pattern {
                    Pattern::Name(name, _) => {
                        let known = other.unwrap_or_default();
                        Value { shape: Value::foreign(&format!("?{name}")).shape, ..known }
                    }
                    _ => other.unwrap_or_default(),
                },
            },
            ParamKind::State => given.unwrap_or_else(|| {
                let of = param.type_name.as_deref().unwrap_or_default();
                match self.name(of, frame).shape {
                    Shape::Class(_) => self.injected(of, of, frame),
                    _ => state(param),
                }
            }),
            ParamKind::RawBody => Value::raw("body"),
            ParamKind::ParsedBody => Value::parsed("body"),
            ParamKind::Query => Value::request("query"),
            ParamKind::Path => Value::request("params"),
            ParamKind::Headers => Value::shaped(Shape::Headers),
            ParamKind::Request => Value::shaped(Shape::Request),
            ParamKind::Session => {
                self.emit(EventKind::Session, frame, span);
                Value { from: Origins::SESSION, ..Value::foreign("session()") }
            }
            ParamKind::OptionalSession => Value { from: Origins::SESSION, ..Value::foreign("session()") },
            ParamKind::Tenant => Value { from: Origins::TENANT, ..Value::foreign("tenant()") },
            ParamKind::Key => {
                self.emit(EventKind::KeyRead, frame, span);
                self.emit(EventKind::KeyRequired, frame, span);
                Value { from: Origins::KEY.and(Origins::REQUEST), ..Value::request("headers.idempotency-key") }
            }
        }
    }

    /// What an extractor of the service's own makes of the request; else it is known by its name.
    fn extracted(&mut self, param: &Param, frame: &Frame) -> Value {
        let of = param.type_name.as_deref().unwrap_or_default();
        if let Value { shape: Shape::Class(class), .. } = self.name(of, frame) {
            for name in ["from_request", "from_request_parts"] {
                if let Some(function) = self.static_member(&class, name).filter(Value::is_function) {
                    let given = vec![Value::shaped(Shape::Request), Value::default()];
                    return self.apply(&function, given, frame, Span::default());
                }
            }
        }
        match &param.pattern {
            Pattern::Name(name, _) => Value::foreign(&format!("?{name}")),
            _ => Value::default(),
        }
    }

    /// An instance of a class of the tree.
    pub(crate) fn construct(&mut self, class: &Rc<ClassValue>, given: Vec<Value>, frame: &Frame, span: Span) -> Value {
        let object = Rc::new(ObjectValue { class: Some(Rc::clone(class)), ..ObjectValue::default() });
        self.holds(&object);
        let instance = Value::shaped(Shape::Object(Rc::clone(&object)));
        let facts = &class.module.facts;
        let Some(declared) = facts.classes.get(class.id) else { return instance };
        let inner = Frame {
            module: Rc::clone(&class.module),
            scope: Rc::clone(&class.scope),
            this: Some(instance.clone()),
            returned: Rc::default(),
        };
        for (name, value) in &declared.fields {
            let value = match value {
                Some(value) => self.expr(value, &inner),
                None => Value::foreign(&format!("?{name}")),
            };
            object.fields.borrow_mut().insert(name.clone(), value);
        }
        for (at, (name, of)) in declared.injected.iter().enumerate() {
            let value = match given.get(at) {
                Some(value) => value.clone(),
                None => self.injected(name, of, &inner),
            };
            object.fields.borrow_mut().insert(name.clone(), value);
        }
        if let Some((_, id)) = declared.methods.iter().find(|(name, _)| name == "constructor") {
            let closure = Rc::new(Closure {
                module: Rc::clone(&class.module),
                id: *id,
                scope: Rc::clone(&class.scope),
                this: None,
            });
            self.enter(&closure, given, Some(instance.clone()), frame, span);
        }
        instance
    }

    /// A field that a container fills: an instance, if its type is a class of the tree.
    fn injected(&mut self, name: &str, of: &str, frame: &Frame) -> Value {
        // `Repository<Order>`, `Model<OrderDocument>`.
        if let Some((holder, inner)) = of.split_once('<')
            && has_word(holder, &["repository", "model", "collection", "table"])
        {
            return Value::foreign(&format!("?{name}.repository({})", inner.trim_end_matches('>')));
        }
        let of: String = of.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
        let depth = self.run.stack.len();
        match self.name(&of, frame) {
            Value { shape: Shape::Class(class), .. } if depth < DEEPEST_CALL => {
                self.run.stack.push((class.module.facts.path.clone(), usize::MAX));
                let instance = self.construct(&class, Vec::new(), frame, Span::default());
                self.run.stack.pop();
                instance
            }
            _ => Value::foreign(&format!("?{name}")),
        }
    }

    /// A method of a class or of what it extends; of a foreign class, the path that leads to the method.
    pub(crate) fn method(&mut self, class: &Rc<ClassValue>, this: &Value, name: &str) -> Option<Value> {
        let mut class = Rc::clone(class);
        for _ in 0..DEEPEST_CLASS {
            let module = Rc::clone(&class.module);
            let declared = module.facts.classes.get(class.id)?;
            if let Some((_, id)) = declared.methods.iter().find(|(known, _)| known == name) {
                let closure = Closure {
                    module: Rc::clone(&module),
                    id: *id,
                    scope: Rc::clone(&class.scope),
                    this: Some(this.clone()),
                };
                return Some(Value::shaped(Shape::Function(Rc::new(closure))));
            }
            let frame = Frame { scope: Rc::clone(&class.scope), ..Frame::top(&module) };
            match declared.extends.as_ref().map(|extends| self.expr(extends, &frame))?.shape {
                Shape::Class(above) => class = above,
                Shape::Foreign(path) => {
                    return Some(Value::foreign(&format!("{path}.{}().{name}", declared.name)));
                }
                _ => return None,
            }
        }
        None
    }

    pub(crate) fn static_member(&mut self, class: &Rc<ClassValue>, name: &str) -> Option<Value> {
        let module = Rc::clone(&class.module);
        let declared = module.facts.classes.get(class.id)?;
        let this = Value::shaped(Shape::Class(Rc::clone(class)));
        let frame = Frame { scope: Rc::clone(&class.scope), this: Some(this.clone()), ..Frame::top(&module) };
        if let Some((_, value)) = declared.statics.iter().find(|(known, _)| known == name) {
            return Some(self.expr(value, &frame));
        }
        // In Rust `Type::function` has the same form as a method.
        match self.method(class, &this, name)? {
            // `Order.findOne()` of a class that extends a package's.
            Value { shape: Shape::Foreign(path), .. } => Some(Value::foreign(&path.replacen("().", ".", 1))),
            function => Some(function).filter(Value::is_function),
        }
    }
}

/// State is known by the name of the parameter, or of its type.
fn state(param: &Param) -> Value {
    let name = match (&param.pattern, &param.type_name) {
        (Pattern::Name(name, _), _) => name.clone(),
        (_, Some(of)) => of.clone(),
        _ => String::new(),
    };
    Value::foreign(&format!("?{name}"))
}

/// Whether a value is the request, or what is given beside it.
pub(crate) fn sees_request(value: &Value) -> bool {
    match &value.shape {
        Shape::Request | Shape::Context | Shape::Headers => true,
        Shape::Object(object) => object
            .fields
            .borrow()
            .values()
            .any(|value| matches!(value.shape, Shape::Request | Shape::Context | Shape::Headers)),
        _ => false,
    }
}

fn is_unknown(value: &Value) -> bool {
    matches!(value.shape, Shape::Unknown) && value.from.without(Origins::UNKNOWN) == Origins::NONE
}
