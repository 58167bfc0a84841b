//! What the record of a handled event says.

use serde::{Deserialize, Serialize};

use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Converted, Versioned};

/// The payments that an event was found to be about: those that a thin event led to, or that a snapshot names, whose thin twin
/// may not. `None` where that is not known: the body names none, the object could not be read, or the record is of version 1. A
/// delivery that has to know looks for itself.
///
/// The record holds their ids as records of facts do: an id of a payment is no secret. Keys hold digests alone.
pub(super) type LedTo = Option<Vec<PaymentId>>;

/// What came of an event. That of a claim is not known yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) led_to: LedTo,
}

/// Version 1 said nothing beside that the event was handled.
impl<'p> Versioned<'p> for Outcome {
    fn write(&self, version: u8) -> Option<Vec<u8>> {
        if version > 1 { postcard::to_allocvec(self).ok() } else { Some(Vec::new()) }
    }

    fn read(version: u8, bytes: &'p [u8]) -> Converted<Self> {
        match bytes {
            _ if version > 1 => Converted::of(bytes),
            [] => Converted::Whole(Self::default()),
            _ => Converted::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;
    use crate::ledger::{RecordKind, State};

    #[test]
    fn golden_files_hold_what_is_written_of_events() {
        let not_known = Outcome::default();
        for version in [1, 2] {
            for (variant, state) in [("claimed", State::Claimed), ("settled", State::Settled)] {
                is_golden(RecordKind::Event, version, variant, state, false, &not_known);
            }
        }
        let led_to =
            |ids: &[&str]| Outcome { led_to: Some(ids.iter().map(|id| PaymentId::parse(id).unwrap()).collect()) };
        is_golden(RecordKind::Event, 2, "settled_led_to_a_payment", State::Settled, false, &led_to(&["pi_1"]));
        is_golden(RecordKind::Event, 2, "settled_led_to_none", State::Settled, false, &led_to(&[]));
    }
}
