//! Lists, texts and promises, whose methods are the language's own.

use std::rc::Rc;

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::{ObjectValue, Shape, Value};

/// Methods that call what they are given for each element.
const EACH: &[&str] = &[
    "map",
    "flatMap",
    "forEach",
    "filter",
    "find",
    "findLast",
    "findIndex",
    "some",
    "every",
    "sort",
    "reduce",
    "reduceRight",
    "mapSeries",
    "toSorted",
    "group",
    "groupBy",
];
/// Methods of texts, numbers, lists, maps and dates that yield a part or another form of what they are called on.
const PLAIN: &[&str] = &[
    "toString",
    "toFixed",
    "trim",
    "split",
    "slice",
    "join",
    "includes",
    "indexOf",
    "startsWith",
    "endsWith",
    "replace",
    "replaceAll",
    "toLowerCase",
    "toUpperCase",
    "substring",
    "substr",
    "padStart",
    "padEnd",
    "concat",
    "flat",
    "keys",
    "values",
    "entries",
    "has",
    "at",
    "charAt",
    "match",
    "matchAll",
    "test",
    "exec",
    "toISOString",
    "getTime",
    "toJSON",
    "valueOf",
    "reverse",
    "fill",
    "localeCompare",
    "normalize",
    "repeat",
    "toObject",
    "pop",
    "shift",
    "splice",
    "toLocaleString",
    "toDateString",
    "getFullYear",
    "getMonth",
    "getDate",
    "setDate",
    "setMonth",
    "setHours",
    "setMinutes",
    "lean",
    "equals",
    "toLocaleDateString",
    "forEach",
    "size",
    "flatten",
    "clone",
    "search",
    "trimEnd",
    "trimStart",
    "codePointAt",
    "toNumber",
    "minus",
    "plus",
    "times",
    "div",
    "mul",
    "add",
    "sub",
    "round",
    "unwrap",
    "unwrap_or",
    "unwrap_or_default",
    "as_str",
    "ok_or",
    "ok_or_else",
    "map_err",
    "expect",
    "to_owned",
    "to_string",
    "into",
    "as_ref",
    "cloned",
    "and_then",
    "is_some",
    "is_none",
    "ok",
    "is_ok",
    "is_err",
    "trim_start",
    "as_bytes",
    "into_inner",
    "as_deref",
    "copied",
    "to_str",
];

impl Follower<'_> {
    /// A method of a list, a text or a promise; `None` if it is none, or may be another thing's.
    pub(crate) fn list_call(&mut self, value: &Value, name: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let first = given.first();
        match name {
            "then" | "catch" | "finally" if first.is_none_or(|first| first.is_function() || is_plain(first)) => {
                return Some(self.promise_call(value, name, given, site));
            }
            "map_err" | "unwrap_or_else" | "ok_or_else" | "and_then" | "or_else"
                if first.is_some_and(Value::is_function) =>
            {
                let function = first.cloned().unwrap_or_default();
                let yielded =
                    self.perhaps(|follower| follower.apply(&function, vec![value.clone()], site.frame, site.span));
                return Some(if name == "and_then" { yielded } else { value.clone() });
            }
            _ => {}
        }
        if EACH.contains(&name) && first.is_some_and(Value::is_function) {
            return Some(self.each(value, name, given, site));
        }
        if let (Shape::List(elements), "push" | "unshift") = (&value.shape, name) {
            self.holds(elements);
            elements.borrow_mut().extend(given.iter().cloned());
            return Some(value.clone());
        }
        if let Some(known) = self.path_method(value, name, first) {
            return Some(known);
        }
        if name == "includes"
            && let Some(first) = first
        {
            if let Some(known) = self.includes_method(value, first) {
                return Some(known);
            }
            if value.whole().from.without(Origins::LITERAL) == Origins::NONE {
                self.compared_alone(first, site.frame, site.span);
            }
        }
        if let Some(found) = self.container_call(value, name, given) {
            return Some(found);
        }
        let is_data =
            value.from.without(Origins::LITERAL) != Origins::NONE || !matches!(value.shape, Shape::Foreign(_));
        // A statement that is being built has `values` of its own.
        let is_statement = value.path().is_some_and(|path| path.contains("pending-"));
        if PLAIN.contains(&name)
            && is_data
            && !is_statement
            && !matches!(value.shape, Shape::Object(ref object) if object.class.is_some())
        {
            let sum = given.iter().fold(value.clone(), |sum, given| sum.tainted(&given.whole()));
            let shape = if matches!(value.shape, Shape::List(_)) { value.shape.clone() } else { Shape::Unknown };
            let exact =
                matches!((&value.shape, name), (Shape::Text, "toLowerCase" | "trim" | "toString" | "toUpperCase"));
            let keeps_method = value.from.has(Origins::METHOD);
            return Some(Value { shape: if exact { Shape::Text } else { shape }, ..sum }.keeping(keeps_method, value));
        }
        None
    }

    /// A map, a set or a form that was made here: what is put in comes out.
    fn container_call(&mut self, value: &Value, name: &str, given: &[Value]) -> Option<Value> {
        let Shape::Object(object) = &value.shape else { return None };
        if object.class.is_some() || !value.from.has(Origins::LITERAL) {
            return None;
        }
        match name {
            "set" | "append" | "add" => {
                if let (Some(name), Some(value)) = (given.first().and_then(Value::is_text), given.get(1)) {
                    // A form's `line_items[0][price_data][unit_amount]` is told by its last part.
                    let last = name.split(['[', ']']).rfind(|part| !part.is_empty()).unwrap_or_default();
                    if !name.contains("metadata") {
                        self.holds(object);
                        object.fields.borrow_mut().insert(last.to_owned(), value.clone());
                    }
                } else if let Some(last) = given.last() {
                    self.holds(object);
                    // It may be put into itself, so that nothing holds it while it is joined.
                    let mut rest = object.rest.borrow_mut().take();
                    last.clone().join_to(&mut rest);
                    *object.rest.borrow_mut() = rest;
                }
                Some(value.clone())
            }
            "get" | "values" | "getAll" => {
                let named = given.first().and_then(Value::is_text).and_then(|name| value.field(name));
                let any = || object.fields.borrow().values().cloned().reduce(Value::join);
                let found = named.or_else(|| object.rest.borrow().clone()).or_else(any);
                Some(found.unwrap_or_else(|| Value::of(Origins::NONE)))
            }
            "has" | "delete" | "entries" | "toString" | "keys" => Some(value.clone()),
            _ => None,
        }
    }

    fn promise_call(&mut self, value: &Value, name: &str, given: &[Value], site: &Site<'_>) -> Value {
        let Some(function) = given.first().filter(|function| function.is_function()) else {
            return value.clone();
        };
        match name {
            "then" => self.apply(function, vec![value.clone()], site.frame, site.span),
            "catch" => {
                self.perhaps(|follower| follower.apply(function, vec![Value::foreign("error")], site.frame, site.span));
                value.clone()
            }
            _ => {
                self.apply(function, Vec::new(), site.frame, site.span);
                value.clone()
            }
        }
    }

    fn each(&mut self, value: &Value, name: &str, given: &[Value], site: &Site<'_>) -> Value {
        let function = given.first().cloned().unwrap_or_default();
        if let Some(known) = self.decided_by_each(value, name, &function, site) {
            return known;
        }
        let element = self.element(value);
        let branching = self.branching(&value.whole());
        let list = value.clone();
        let start = given.get(1).cloned();
        let yielded = self.in_arm(branching, 0, |follower| {
            follower.repeatedly(|follower| {
                let arguments = match name {
                    "reduce" | "reduceRight" => {
                        vec![
                            start.clone().unwrap_or_else(|| element.clone()),
                            element.clone(),
                            Value::default(),
                            list.clone(),
                        ]
                    }
                    "sort" | "toSorted" => vec![element.clone(), element.clone()],
                    _ => vec![element.clone(), Value::default(), list.clone()],
                };
                follower.apply(&function, arguments, site.frame, site.span)
            })
        });
        match name {
            "map" | "flatMap" | "mapSeries" => Value::list(vec![yielded]),
            "reduce" | "reduceRight" => match start {
                Some(start) => yielded.join(start),
                None => yielded,
            },
            "find" | "findLast" => element,
            "some" | "every" | "findIndex" => {
                Value { shape: Shape::Unknown, text: None, ..list.whole().tainted(&yielded.whole()) }
            }
            "forEach" => Value::default(),
            _ => list,
        }
    }

    /// `Object.values`, `Object.entries` and their like.
    pub(crate) fn object_call(&mut self, name: &str, given: &[Value]) -> Value {
        let first = given.first().cloned().unwrap_or_default();
        match (name, &first.shape) {
            ("values", Shape::Object(object)) => Value::list(object.fields.borrow().values().cloned().collect()),
            ("entries", Shape::Object(object)) => {
                let pair = |(name, value): (&String, &Value)| Value::list(vec![Value::literal(name), value.clone()]);
                Value::list(object.fields.borrow().iter().map(pair).collect())
            }
            ("keys", _) => Value { shape: Shape::Unknown, ..first.whole() },
            ("assign", _) => given.iter().cloned().reduce(Value::join).unwrap_or_default(),
            ("entries", _) => Value::list(vec![Value::list(vec![self.element(&first), self.element(&first)])]),
            _ => first,
        }
    }

    /// A new map, set, form: what it is made of is what it holds.
    pub(crate) fn container(&mut self, given: &[Value]) -> Value {
        let object = match given.first().map(|first| &first.shape) {
            Some(Shape::Object(made)) if made.class.is_none() => {
                let (fields, rest) = (made.fields.borrow().clone(), made.rest.borrow().clone());
                ObjectValue { fields: fields.into(), rest: rest.into(), ..ObjectValue::default() }
            }
            _ => {
                let inner = given.first().map(Value::whole);
                let rest = inner.filter(|inner| inner.from != Origins::NONE).into();
                ObjectValue { rest, ..ObjectValue::default() }
            }
        };
        Value { from: Origins::LITERAL, ..Value::shaped(Shape::Object(Rc::new(object))) }
    }
}

impl Value {
    fn keeping(self, keeps: bool, original: &Self) -> Self {
        if keeps { Self { shape: original.shape.clone(), text: original.text.clone(), ..self } } else { self }
    }
}

fn is_plain(value: &Value) -> bool {
    matches!(value.shape, Shape::Nothing | Shape::Unknown | Shape::Next)
}
