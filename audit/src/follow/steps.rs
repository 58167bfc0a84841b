//! Steps.

use std::rc::Rc;

use super::Follower;
use super::branches::Flow;
use super::frame::Frame;
use super::origins::Origins;
use super::value::{Shape, Value};
use crate::model::{Block, Expr, Pattern, Span, Step};

impl Follower<'_> {
    /// Steps in the frame's own scope.
    pub(crate) fn block(&mut self, steps: &[Step], frame: &Frame) -> Flow {
        for step in steps {
            if let Step::Function(name, id) = step {
                let function = self.closure(*id, frame);
                frame.scope.declare(name, function, self.depth());
            }
        }
        for step in steps {
            let flow = self.step(step, frame);
            if flow != Flow::Next {
                return flow;
            }
        }
        Flow::Next
    }

    /// Steps in a scope of their own.
    pub(crate) fn inner_block(&mut self, steps: &[Step], frame: &Frame) -> Flow {
        if steps.is_empty() {
            return Flow::Next;
        }
        let frame = frame.within(self.inner_scope(&frame.scope));
        self.block(steps, &frame)
    }

    fn step(&mut self, step: &Step, frame: &Frame) -> Flow {
        match step {
            Step::Let(into, value, _) => {
                let value = value.as_ref().map_or(Value::shaped(Shape::Nothing), |value| self.expr(value, frame));
                self.bind(into, value, frame);
                Flow::Next
            }
            Step::Expr(value, _) => {
                self.expr(value, frame);
                Flow::Next
            }
            Step::Return(value, _) => {
                let value = value.as_ref().map_or(Value::shaped(Shape::Nothing), |value| self.expr(value, frame));
                frame.gives(value);
                Flow::Exit
            }
            Step::Throw(value, _) => {
                self.expr(value, frame);
                Flow::Exit
            }
            Step::Leave => Flow::Leave,
            Step::If(condition, yes, no, span) => {
                let condition = self.expr(condition, frame);
                self.choose(
                    &condition,
                    frame,
                    *span,
                    [&mut |follower| follower.inner_block(yes, frame), &mut |follower| follower.inner_block(no, frame)],
                )
            }
            Step::Loop(over, body, _) => self.repeat(over.as_ref(), body, frame),
            Step::Switch(value, cases, span) => self.switch(value, cases, frame, *span),
            Step::Try(body, caught, last) => self.attempt(body, caught.as_ref(), last, frame),
            Step::Block(body) => self.inner_block(body, frame),
            // It was declared when its block began.
            Step::Function(..) => Flow::Next,
            Step::Class(name, id) => {
                let class = self.class(*id, frame);
                frame.scope.declare(name, class, self.depth());
                Flow::Next
            }
        }
    }

    fn repeat(&mut self, over: Option<&(Pattern, Expr)>, body: &Block, frame: &Frame) -> Flow {
        let over = over.map(|(into, value)| (into, self.expr(value, frame)));
        let inner = frame.within(self.inner_scope(&frame.scope));
        let condition = over.as_ref().map(|(_, value)| value.whole()).unwrap_or_default();
        let branching = self.branching(&condition);
        self.in_arm(branching, 0, |follower| {
            follower.repeatedly(|follower| {
                if let Some((into, value)) = over {
                    let element = follower.element(&value);
                    follower.bind(into, element, &inner);
                }
                follower.block(body, &inner)
            })
        });
        Flow::Next
    }

    fn switch(&mut self, value: &Expr, cases: &[(Vec<Expr>, Block)], frame: &Frame, span: Span) -> Flow {
        let value = self.expr(value, frame);
        if value.from.has(Origins::METHOD) {
            return self.switch_method(cases, frame);
        }
        self.compared_alone(&value, frame, span);
        let branching = self.branching(&value);
        let mut all_exit = cases.iter().any(|(values, _)| values.is_empty());
        for (arm, (values, body)) in (0..).zip(cases) {
            let flow = self.in_arm(branching, arm, |follower| {
                for value in values {
                    follower.expr(value, frame);
                }
                follower.inner_block(body, frame)
            });
            all_exit &= flow == Flow::Exit;
        }
        if all_exit { Flow::Exit } else { Flow::Next }
    }

    /// `switch (req.method)`: the case of the method that is asked for.
    fn switch_method(&mut self, cases: &[(Vec<Expr>, Block)], frame: &Frame) -> Flow {
        let mut default = None;
        let mut chosen = None;
        for (values, body) in cases {
            if values.is_empty() {
                default = Some(body);
            }
            for value in values {
                let value = self.expr(value, frame);
                let Some(text) = value.is_text() else { continue };
                self.run.mentions.insert(text.to_uppercase());
                if self.run.method.as_deref() == Some(text.to_uppercase().as_str()) {
                    chosen = Some(body);
                }
            }
        }
        if self.run.method.is_none() {
            for (_, body) in cases {
                self.perhaps(|follower| follower.inner_block(body, frame));
            }
            return Flow::Next;
        }
        match chosen.or(default).map(|body| self.inner_block(body, frame)) {
            Some(Flow::Exit) => Flow::Exit,
            _ => Flow::Next,
        }
    }

    fn attempt(
        &mut self,
        body: &Block,
        caught: Option<&(Option<Pattern>, Block)>,
        last: &Block,
        frame: &Frame,
    ) -> Flow {
        let mut flow = self.inner_block(body, frame);
        if let Some((into, caught)) = caught {
            let inner = frame.within(self.inner_scope(&frame.scope));
            let error = self.perhaps(|follower| {
                if let Some(into) = into {
                    follower.bind(into, Value::foreign("error"), &inner);
                }
                follower.block(caught, &inner)
            });
            if error != Flow::Exit && flow == Flow::Exit {
                flow = Flow::Next;
            }
        }
        match self.inner_block(last, frame) {
            Flow::Exit => Flow::Exit,
            _ => flow,
        }
    }

    /// What a loop, or a function that is given to `map`, gets of a list.
    pub(crate) fn element(&mut self, list: &Value) -> Value {
        match &list.shape {
            Shape::List(elements) => {
                let elements = elements.borrow();
                let joined = elements.iter().cloned().reduce(Value::join);
                joined.map_or_else(
                    || list.clone(),
                    |element| element.tainted(&Value { shape: Shape::Unknown, ..list.clone() }),
                )
            }
            Shape::Object(object) if object.class.is_none() => {
                let fields: Vec<Value> = object.fields.borrow().values().cloned().collect();
                fields.into_iter().reduce(Value::join).unwrap_or_default().tainted(list)
            }
            Shape::Foreign(path) => {
                Value { shape: Value::foreign(&format!("{path}[]")).shape, text: None, ..list.clone() }
            }
            _ => Value { shape: Shape::Unknown, text: None, ..list.clone() },
        }
    }

    pub(crate) fn closure(&mut self, id: usize, frame: &Frame) -> Value {
        Value::shaped(Shape::Function(Rc::new(super::value::Closure {
            module: Rc::clone(&frame.module),
            id,
            scope: Rc::clone(&frame.scope),
            this: frame.this.clone(),
        })))
    }

    pub(crate) fn class(&mut self, id: usize, frame: &Frame) -> Value {
        Value::shaped(Shape::Class(Rc::new(super::value::ClassValue {
            module: Rc::clone(&frame.module),
            id,
            scope: Rc::clone(&frame.scope),
        })))
    }
}
