//! Where evaluation is.

use std::cell::RefCell;
use std::rc::Rc;

use super::value::{Module, Scope, Value};

/// The function, or the module, that is being evaluated.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) module: Rc<Module>,
    pub(crate) scope: Rc<Scope>,
    pub(crate) this: Option<Value>,
    /// What its `return`s yield, together.
    pub(crate) returned: Rc<RefCell<Option<Value>>>,
}

impl Frame {
    /// The top of a module.
    pub(crate) fn top(module: &Rc<Module>) -> Self {
        Self { module: Rc::clone(module), scope: Rc::clone(&module.scope), this: None, returned: Rc::default() }
    }

    /// The same function, with names of its own for a block.
    pub(crate) fn within(&self, scope: Rc<Scope>) -> Self {
        Self { module: Rc::clone(&self.module), scope, this: self.this.clone(), returned: Rc::clone(&self.returned) }
    }

    pub(crate) fn gives(&self, value: Value) {
        value.join_to(&mut self.returned.borrow_mut());
    }
}
