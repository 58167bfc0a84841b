//! Files of the tree, loaded once, and what they export.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::frame::Frame;
use super::resolve::Resolved;
use super::value::{Module, Shape, Value};
use super::{Follower, Run};
use crate::model::{Export, Import, Imported, Span};

/// How many re-exports are followed: barrels of barrels end far below it, circles do not.
const DEEPEST_EXPORT: u32 = 12;

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
        self.loading(|follower| follower.block(&module.facts.body, &Frame::top(&module)));
        Some(module)
    }

    /// Evaluates what a file does when it is loaded, whatever handler is followed meanwhile.
    pub(super) fn loading<T>(&mut self, evaluate: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.run, Run::loading());
        let done = evaluate(self);
        self.run = outer;
        done
    }

    /// What a name stands for that no scope knows: an import, else a global.
    pub(crate) fn imported(&mut self, module: &Rc<Module>, name: &str) -> Option<Value> {
        let import = module.facts.imports.get(*module.imports.get(name)?)?;
        let value = self.import_value(module, import);
        module.scope.declare(name, value.clone(), 0);
        Some(value)
    }

    fn import_value(&mut self, module: &Rc<Module>, import: &Import) -> Value {
        match (self.resolver.resolve(&module.facts.path, &import.from), &import.what) {
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
        let exports = &module.facts.exports;
        let mut barrels = Vec::new();
        for (at, export) in exports.iter().enumerate() {
            match export {
                Export::Local { name, local } if name == wanted => {
                    return Some(self.name(local, &Frame::top(module)));
                }
                Export::Value { name, value } if name == wanted => {
                    if let Some(known) = module.values.borrow().get(&at) {
                        return Some(known.clone());
                    }
                    let value = self.loading(|follower| follower.expr(value, &Frame::top(module)));
                    module.values.borrow_mut().insert(at, value.clone());
                    return Some(value);
                }
                Export::From { name, original, from } if name == wanted => {
                    let what = if original == "*" { Imported::All } else { Imported::Named(original.clone()) };
                    let import = Import { local: String::new(), what, from: from.clone(), span: Span::default() };
                    return Some(self.import_value(module, &import));
                }
                Export::All { from } => barrels.push(from),
                _ => {}
            }
        }
        // Rust has no list of exports: what a file declares, others may name.
        if exports.is_empty()
            && let Some(value) = module.scope.find(wanted)
        {
            return Some(value);
        }
        barrels.iter().filter(|_| wanted != "default").find_map(|from| self.export_through(module, from, wanted))
    }

    fn export_through(&mut self, module: &Rc<Module>, from: &str, wanted: &str) -> Option<Value> {
        match self.resolver.resolve(&module.facts.path, from) {
            Resolved::File(path) => {
                let found = self.load(&path)?;
                self.export(&found, wanted)
            }
            Resolved::Package => None,
        }
    }
}
