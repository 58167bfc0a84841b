//! Branches: what happens only at times, and what a condition proves.

use super::frame::Frame;
use super::origins::Origins;
use super::value::{Shape, Value};
use super::{Condition, Follower};
use crate::model::{EventKind, Expr, Span};

/// How a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next step comes.
    Next,
    /// The loop's run or the case is over.
    Leave,
    /// The function is over.
    Exit,
}

impl Follower<'_> {
    /// A new branching, decided by this value.
    pub(crate) fn branching(&mut self, condition: &Value) -> u32 {
        let whole = condition.whole();
        let places = whole.places.as_deref().cloned().unwrap_or_default();
        self.run.conditions.push(Condition { from: whole.from, places });
        u32::try_from(self.run.conditions.len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// Evaluates something in an arm of a branching.
    pub(crate) fn in_arm<T>(&mut self, branching: u32, arm: u32, run: impl FnOnce(&mut Self) -> T) -> T {
        self.run.branches.push((branching, arm));
        let done = run(self);
        self.run.branches.pop();
        done
    }

    /// Evaluates something that may not happen, for a reason that is not known.
    pub(crate) fn perhaps<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let branching = self.branching(&Value::default());
        self.in_arm(branching, 0, run)
    }

    /// Evaluates something that may happen several times.
    pub(crate) fn repeatedly<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        self.run.repeated = self.run.repeated.saturating_add(1);
        let done = run(self);
        self.run.repeated = self.run.repeated.saturating_sub(1);
        done
    }

    /// How many branches lead here.
    pub(crate) fn depth(&self) -> usize {
        self.run.branches.len()
    }

    /// Whether one of the branches that lead here was decided by such a value.
    pub(crate) fn depends_on(&self, from: Origins) -> bool {
        let deciding = |(branching, _): &(u32, u32)| self.run.conditions.get(usize::try_from(*branching).ok()?);
        self.run.branches.iter().filter_map(deciding).any(|condition| condition.from.has(from))
    }

    /// Both arms of a condition.
    pub(crate) fn choose(
        &mut self,
        condition: &Value,
        frame: &Frame,
        span: Span,
        arms: [&mut dyn FnMut(&mut Self) -> Flow; 2],
    ) -> Flow {
        let [yes, no] = arms;
        if condition.from.has(Origins::METHOD)
            && let Shape::Bool(known) = condition.shape
        {
            return if known { yes(self) } else { no(self) };
        }
        self.compared_alone(condition, frame, span);
        let branching = self.branching(condition);
        let yes = self.in_arm(branching, 0, |follower| {
            follower.proven(condition, frame, span);
            yes(follower)
        });
        let no = self.in_arm(branching, 1, |follower| {
            follower.proven(condition, frame, span);
            no(follower)
        });
        if (yes == Flow::Exit) != (no == Flow::Exit) {
            self.proven(condition, frame, span);
            self.guarded_by_record(condition, frame, span);
        }
        match (yes, no) {
            (Flow::Exit, Flow::Exit) => Flow::Exit,
            (Flow::Leave | Flow::Exit, Flow::Leave | Flow::Exit) => Flow::Leave,
            _ => Flow::Next,
        }
    }

    /// What is certain where a condition decided.
    pub(crate) fn proven(&mut self, condition: &Value, frame: &Frame, span: Span) {
        let from = condition.whole().from;
        if from.has(Origins::KEY) {
            self.emit(EventKind::KeyRequired, frame, span);
        }
        if from.has(Origins::VERIFIED) {
            let parsed = from.has(Origins::REPARSED);
            let everywhere = !from.has(Origins::STAGE);
            self.emit(EventKind::Verify { everywhere, parsed }, frame, span);
        }
    }

    /// What is certain after `?`: a verification that fails ends the handler.
    pub(crate) fn tried(&mut self, value: &Value, tried: &Expr, frame: &Frame) {
        let mut tried = tried;
        while let Expr::Await(inner) | Expr::Same(inner) = tried {
            tried = inner;
        }
        if value.from.has(Origins::VERIFIED)
            && let Expr::Call(call) = tried
        {
            let parsed = value.from.has(Origins::REPARSED);
            self.emit(EventKind::Verify { everywhere: true, parsed }, frame, call.at);
        }
    }

    fn guarded_by_record(&mut self, condition: &Value, frame: &Frame, span: Span) {
        if condition.whole().from.has(Origins::STORED.and(Origins::RECORD)) {
            self.emit(EventKind::StoredGuard, frame, span);
        }
    }
}
