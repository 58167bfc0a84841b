//! The request's path, where it is settled which one it is: what it is compared with decides what is checked.

use std::collections::BTreeMap;

use super::Follower;
use super::calls::Site;
use super::matcher::covers;
use super::origins::Origins;
use super::value::{Shape, Value};
use crate::model::Binary;

impl Follower<'_> {
    /// `request.nextUrl`, of which the path is known.
    pub(super) fn settled_url(&self) -> Value {
        let path = self.run.path.as_deref().unwrap_or_default();
        let path = Value { from: Origins::METHOD, ..Value::literal(path) };
        let mut fields = BTreeMap::from([("pathname".to_owned(), path)]);
        for name in ["searchParams", "search", "href", "origin", "host"] {
            fields.insert(name.to_owned(), Value::request(name));
        }
        Value::object(fields)
    }

    /// Whether the path is one of the patterns, if it is settled which path this is.
    pub(super) fn matched_path(&self, patterns: &[String]) -> Value {
        match &self.run.path {
            Some(path) => decided(patterns.iter().any(|pattern| covers(pattern, path))),
            None => Value::of(Origins::UNKNOWN),
        }
    }

    /// `path.startsWith('/admin')`.
    pub(super) fn path_method(&mut self, value: &Value, name: &str, given: Option<&Value>) -> Option<Value> {
        let path = settled_path(value)?;
        let asked = given.and_then(Value::is_text);
        match (name, asked) {
            ("startsWith", Some(asked)) => Some(decided(path.starts_with(asked))),
            ("endsWith", Some(asked)) => Some(decided(path.ends_with(asked))),
            ("includes", Some(asked)) => Some(decided(path.contains(asked))),
            ("toLowerCase" | "trim" | "toString", _) => Some(value.clone()),
            _ => Some(Value::request("path")),
        }
    }

    /// `paths.some((path) => asked.startsWith(path))` over known texts, if each of them decides it.
    pub(super) fn decided_by_each(
        &mut self,
        list: &Value,
        name: &str,
        function: &Value,
        site: &Site<'_>,
    ) -> Option<Value> {
        let wanted = match name {
            "some" => true,
            "every" => false,
            _ => return None,
        };
        self.run.path.as_ref()?;
        let Shape::List(elements) = &list.shape else { return None };
        let texts: Vec<Value> = elements.borrow().iter().filter(|value| value.is_text().is_some()).cloned().collect();
        if texts.is_empty() || texts.len() != elements.borrow().len() {
            return None;
        }
        let mut found = false;
        for text in texts {
            let yielded = self.apply(function, vec![text], site.frame, site.span);
            match yielded.shape {
                Shape::Bool(known) if yielded.from.has(Origins::METHOD) => found |= known == wanted,
                _ => return None,
            }
        }
        Some(decided(found == wanted))
    }
}

/// The path, if the value is the settled one.
pub(super) fn settled_path(value: &Value) -> Option<&str> {
    value.is_text().filter(|text| value.from.has(Origins::METHOD) && text.starts_with('/'))
}

/// What is known for sure of this request.
pub(super) fn decided(known: bool) -> Value {
    Value { from: Origins::METHOD, ..Value::shaped(Shape::Bool(known)) }
}

/// `path === '/admin'`.
pub(super) fn compared_path(sign: Binary, one: &Value, two: &Value) -> Option<Value> {
    let equal = match (settled_path(one), settled_path(two)) {
        (Some(path), _) => two.is_text()? == path,
        (_, Some(path)) => one.is_text()? == path,
        _ => return None,
    };
    Some(decided(if sign == Binary::Unequal { !equal } else { equal }))
}
