//! Files of the tree, loaded once, and what they export.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::frame::Frame;
use super::resolve::Resolved;
use super::scope::Scope;
use super::value::{Shape, Value};
use super::{Follower, Run};
use crate::model::{Export, FileFacts, Import, Imported, Span};

/// How many re-exports are followed: barrels of barrels end far below it, circles do not.
const DEEPEST_EXPORT: u32 = 12;

/// A file that was loaded.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) facts: Arc<FileFacts>,
    pub(crate) scope: Rc<Scope>,
    /// Imports by the name they have here.
    imports: HashMap<String, usize>,
    values: RefCell<HashMap<usize, Value>>,
    looking: Cell<u32>,
}

impl Follower<'_> {
    /// Loads a file, which evaluates what stands at its top.
    pub(crate) fn load(&mut self, path: &str) -> Option<Rc<Module>> {
        if let Some(known) = self.modules.get(path) {
            return known.clone();
        }
        let module = self.sources.facts(path).map(|facts| {
            let imports = facts.imports.iter().enumerate().map(|(at, import)| (import.local.clone(), at)).collect();
            Rc::new(Module { scope: Rc::default(), imports, values: RefCell::default(), looking: Cell::new(0), facts })
        });
        self.modules.insert(path.to_owned(), module.clone());
        let module = module?;
        let outer = std::mem::replace(&mut self.run, Run::loading());
        let frame = Frame::top(&module);
        self.block(&module.facts.body, &frame);
        self.run = outer;
        Some(module)
    }

    /// What a name stands for that no scope knows: an import, else a global.
    pub(crate) fn imported(&mut self, module: &Rc<Module>, name: &str) -> Option<Value> {
        let import = module.facts.imports.get(*module.imports.get(name)?)?.clone();
        let value = self.import_value(module, &import);
        module.scope.declare(name, value.clone(), 0);
        Some(value)
    }

    fn import_value(&mut self, module: &Rc<Module>, import: &Import) -> Value {
        match (self.resolver.resolve(self.sources, &module.facts.path, &import.from), &import.what) {
            (Resolved::File(path), what) => match (self.load(&path), what) {
                (Some(found), Imported::Named(name)) => self.export_of(&found, name),
                (Some(found), _) => Value::shaped(Shape::Module(found)),
                (None, Imported::Named(name)) => Value::foreign(&format!("{}#{name}", import.from)),
                (None, _) => Value::foreign(&format!("{}#default", import.from)),
            },
            (Resolved::Package, Imported::Named(name)) => Value::foreign(&format!("{}#{name}", import.from)),
            (Resolved::Package, _) => Value::foreign(&format!("{}#default", import.from)),
        }
    }

    /// An export that has to be there; the default of a file without one is the whole file.
    fn export_of(&mut self, module: &Rc<Module>, name: &str) -> Value {
        match self.export(module, name) {
            Some(value) => value,
            None if name == "default" => Value::shaped(Shape::Module(Rc::clone(module))),
            None => Value::foreign(&format!("{}#{name}", module.facts.path)),
        }
    }

    /// What a file exports under a name.
    pub(crate) fn export(&mut self, module: &Rc<Module>, name: &str) -> Option<Value> {
        if module.looking.get() >= DEEPEST_EXPORT {
            return None;
        }
        module.looking.set(module.looking.get().saturating_add(1));
        let found = self.export_here(module, name);
        module.looking.set(module.looking.get().saturating_sub(1));
        found
    }

    fn export_here(&mut self, module: &Rc<Module>, wanted: &str) -> Option<Value> {
        let facts = Arc::clone(&module.facts);
        let mut barrels = Vec::new();
        for (at, export) in facts.exports.iter().enumerate() {
            match export {
                Export::Local { name, local } if name == wanted => {
                    let frame = Frame::top(module);
                    return Some(self.name(local, &frame));
                }
                Export::Value { name, value } if name == wanted => {
                    if let Some(known) = module.values.borrow().get(&at) {
                        return Some(known.clone());
                    }
                    let outer = std::mem::replace(&mut self.run, Run::loading());
                    let value = self.expr(value, &Frame::top(module));
                    self.run = outer;
                    module.values.borrow_mut().insert(at, value.clone());
                    return Some(value);
                }
                Export::From { name, original, from } if name == wanted => {
                    let what = if original == "*" { Imported::All } else { Imported::Named(original.clone()) };
                    let import = Import { local: String::new(), what, from: from.clone(), span: Span::default() };
                    return Some(self.import_value(module, &import));
                }
                Export::All { from } => barrels.push(from.clone()),
                _ => {}
            }
        }
        // Rust has no list of exports: what a file declares, others may name.
        if facts.exports.is_empty()
            && let Some(value) = module.scope.find(wanted)
        {
            return Some(value);
        }
        barrels.iter().filter(|_| wanted != "default").find_map(|from| self.export_through(module, from, wanted))
    }

    fn export_through(&mut self, module: &Rc<Module>, from: &str, wanted: &str) -> Option<Value> {
        match self.resolver.resolve(self.sources, &module.facts.path, from) {
            Resolved::File(path) => {
                let found = self.load(&path)?;
                self.export(&found, wanted)
            }
            Resolved::Package => None,
        }
    }
}
