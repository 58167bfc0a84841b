//! What payproof's own calls come to, so that a handler that uses them is seen to be checked.

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::{Shape, Value};
use crate::model::{Claimed, EventKind};

impl Follower<'_> {
    /// `payproof.validate(intent)`, `payproof.redeem(proof)`, `payproof.receive(signature, body, handler)`: readers give these
    /// names to what they recognize.
    pub(crate) fn payproof_call(&mut self, path: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let verb = path.strip_prefix("payproof.")?;
        let yielded = Value { from: Origins::PROVIDER, ..Value::foreign(&format!("{path}()")) };
        match verb {
            "validate" => {
                self.emit(EventKind::ProviderRead { call: site.name.clone() }, site.frame, site.span);
                self.emit(EventKind::PaidCompared, site.frame, site.span);
                self.emit(EventKind::AmountCompared, site.frame, site.span);
                Some(yielded)
            }
            // One payment for one order, whatever is repeated: the effect after it has a claim of its own.
            "redeem" => {
                self.emit(EventKind::Guarded, site.frame, site.span);
                Some(yielded)
            }
            "receive" => {
                let parsed = given.get(1).is_some_and(|body| body.from.has(Origins::PARSED));
                self.emit(EventKind::Verify { everywhere: true, parsed }, site.frame, site.span);
                let claim = Claimed { event: true, proven: true, ..Claimed::default() };
                self.emit(EventKind::Claim(claim), site.frame, site.span);
                let event = Value { from: Origins::EVENT, shape: Shape::Unknown, ..Value::default() };
                self.run_given(given, &[event], site);
                Some(Value::foreign(&format!("{path}()")))
            }
            _ => None,
        }
    }
}
