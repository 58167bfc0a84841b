//! What a failed attempt says about whether the provider executed the call.

use crate::http::status_meaning::StatusMeaning;
use crate::provider::{Advice, Kind, ProviderError};

/// In one word, whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EffectOutcome {
    /// The provider cannot have executed it.
    NotExecuted,
    /// The provider looked at it, and will not execute it.
    Refused,
    /// It is unknown.
    Unknown,
}

impl EffectOutcome {
    /// Reads an error. In doubt it is unknown, and what leaves it open outranks whatever else the answer says.
    pub(super) fn of(error: &ProviderError) -> Self {
        match error.kind() {
            Kind::NotSent => return Self::NotExecuted,
            Kind::OutcomeUnknown | Kind::Unreadable | Kind::Message => return Self::Unknown,
            Kind::Refused => {}
        }
        let asks_again = matches!(error.advice(), Some(Advice::Header { retry: true } | Advice::Code { retry: true }));
        match error.status().map(StatusMeaning::of) {
            _ if speaks_of_keys(error) => Self::Unknown,
            // An error with a status of success contradicts itself.
            Some(StatusMeaning::Executed | StatusMeaning::Unknown) => Self::Unknown,
            _ if error.is_rate_limit() || asks_again => Self::NotExecuted,
            Some(StatusMeaning::NotExecuted) => Self::NotExecuted,
            Some(StatusMeaning::Refused) | None => Self::Refused,
        }
    }
}

/// Whether a refusal is about the idempotency key: in use, or used before with something else. Either way something was
/// sent under it earlier, and this answer does not say what became of that.
fn speaks_of_keys(error: &ProviderError) -> bool {
    let speaks = |text: &str| text.to_ascii_lowercase().contains("idempoten");
    error.code().is_some_and(speaks) || speaks(error.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::RateLimit;

    fn refused(status: u16) -> ProviderError {
        ProviderError::refused("no").with_status(status)
    }

    #[test]
    fn only_what_cannot_have_happened_counts_as_not_executed() {
        for error in [
            ProviderError::not_sent("no route"),
            refused(429),
            refused(425),
            refused(401),
            refused(403),
            refused(400).transient_by_code("lock_timeout").with_rate_limit(RateLimit::Payment),
            refused(409).transient_by_header(),
        ] {
            assert_eq!(EffectOutcome::of(&error), EffectOutcome::NotExecuted, "{error}");
        }
    }

    #[test]
    fn a_server_error_says_nothing_whatever_else_it_says() {
        for error in [
            refused(500),
            refused(503),
            refused(599),
            refused(503).transient_by_header(),
            refused(503).permanent_by_header(),
            refused(503).with_rate_limit(RateLimit::Account),
            refused(408),
            refused(302),
            refused(200),
        ] {
            assert_eq!(EffectOutcome::of(&error), EffectOutcome::Unknown, "{error}");
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        for error in [
            ProviderError::outcome_unknown("reset"),
            ProviderError::unreadable("?").with_status(200),
            ProviderError::message("connection refused"),
            ProviderError::message("card declined"),
            ProviderError::outcome_unknown("cut").with_status(400),
        ] {
            assert_eq!(EffectOutcome::of(&error), EffectOutcome::Unknown, "{error}");
        }
    }

    #[test]
    fn a_plain_no_is_a_refusal() {
        for error in
            [refused(402), refused(404), refused(400), refused(422), refused(409), ProviderError::refused("no")]
        {
            assert_eq!(EffectOutcome::of(&error), EffectOutcome::Refused, "{error}");
        }
    }

    #[test]
    fn an_answer_about_the_key_says_nothing_about_the_call() {
        for error in [
            refused(409).with_code("idempotency_key_in_use"),
            refused(400).with_code("idempotency_error").transient_by_header(),
            ProviderError::refused("Keys for Idempotent requests can only be used once").with_status(422),
        ] {
            assert_eq!(EffectOutcome::of(&error), EffectOutcome::Unknown, "{error}");
        }
    }
}
