//! Names and what they stand for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::value::Value;

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

    /// Lets go of everything, so that closures in it do not keep it alive for ever.
    pub(crate) fn clear(&self) {
        self.names.borrow_mut().clear();
    }
}
