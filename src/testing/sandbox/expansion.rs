//! What stands in an answer in place of ids.

/// What a request asks to have in place of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub(super) struct Expansion {
    pub(super) charge: bool,
    /// The charge's list of refunds, which is left out otherwise.
    pub(super) refunds: bool,
    pub(super) dispute: bool,
    /// The payment's own, and not the charge's.
    pub(super) review: bool,
    /// The payment of a session, of which the others are then asked.
    pub(super) intent: bool,
}

impl Expansion {
    /// Adds one path: whatever it passes through is expanded too, and of names it does not know nothing comes.
    pub(super) fn with(self, path: &str) -> Self {
        let mut names = path.split('.');
        match (names.next(), names.next()) {
            (Some("latest_charge"), below) => {
                let (refunds, dispute) = (below == Some("refunds"), below == Some("dispute"));
                Self { charge: true, refunds: self.refunds || refunds, dispute: self.dispute || dispute, ..self }
            }
            (Some("review"), _) => Self { review: true, ..self },
            (Some("payment_intent"), _) => {
                let (_, below) = path.split_once('.').unwrap_or_default();
                Self { intent: true, ..self.with(below) }
            }
            _ => self,
        }
    }
}
