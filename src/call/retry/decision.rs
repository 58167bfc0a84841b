//! Whether a failed attempt may be tried again. One place, asked in one order.

use crate::call::breaker::ProviderHealth;
use crate::http::status_meaning::is_transient;
use crate::provider::attempt_log::{Reach, Rule};
use crate::provider::{Advice, Kind, ProviderError};

use super::transient::TransientPatterns;

/// What a failure calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryDecision {
    pub(crate) transient: Transient,
    pub(crate) rule: Rule,
}

/// How often a failure is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transient {
    No,
    Once,
    Yes,
}

/// Header, code, status, how far the call got, text: the first that knows decides.
pub(crate) fn decide(error: &ProviderError, patterns: &TransientPatterns) -> RetryDecision {
    let decision =
        |retry: bool, rule| RetryDecision { transient: if retry { Transient::Yes } else { Transient::No }, rule };
    match error.advice() {
        Some(Advice::Header { retry }) => return decision(retry, Rule::ProviderHeader),
        Some(Advice::Code { retry }) => {
            return decision(retry, Rule::ProviderCode(error.code().unwrap_or_default().into()));
        }
        None => {}
    }
    match (error.kind(), error.status()) {
        (Kind::Unreadable, _) => RetryDecision { transient: Transient::Once, rule: Rule::Unreadable },
        (_, Some(status)) => decision(is_transient(status), Rule::Status(status)),
        (Kind::NotSent, None) => decision(true, Rule::Reach(Reach::NotSent)),
        // A look-up changes nothing, so not knowing whether it was seen is no reason to stop.
        (Kind::OutcomeUnknown, None) => decision(true, Rule::Reach(Reach::MaybeSent)),
        (Kind::Refused, None) => decision(false, Rule::Reach(Reach::Answered)),
        (Kind::Message, None) => match patterns.matching(error.text()) {
            Some(pattern) => decision(true, Rule::Pattern(pattern.into())),
            None => decision(false, Rule::Unknown),
        },
    }
}

/// A rate limit and a refusal are answers; only silence and server errors say that the provider is down.
pub(crate) fn health(error: &ProviderError, decision: &RetryDecision) -> ProviderHealth {
    let down = match (error.kind(), error.status()) {
        (_, Some(status)) => status >= 500,
        (Kind::NotSent | Kind::OutcomeUnknown | Kind::Message, None) => decision.transient != Transient::No,
        (Kind::Refused | Kind::Unreadable, None) => false,
    };
    if down && !error.is_rate_limit() { ProviderHealth::Down } else { ProviderHealth::Up }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(error: &ProviderError) -> (Transient, String) {
        let decision = decide(error, &TransientPatterns::compile(false, &[]).unwrap());
        (decision.transient, decision.rule.to_string())
    }

    #[test]
    fn the_header_outranks_the_code_and_the_code_the_status() {
        let error = ProviderError::refused("x").with_status(503).permanent_by_code("final");
        assert_eq!(decided(&error), (Transient::No, "provider code final".to_owned()));
        let error = error.transient_by_header();
        assert_eq!(decided(&error), (Transient::Yes, "provider header".to_owned()));
        let header_first = ProviderError::refused("x").permanent_by_header().transient_by_code("lock_timeout");
        assert_eq!(decided(&header_first).0, Transient::No);
    }

    #[test]
    fn a_status_outranks_the_words_around_it() {
        let error = ProviderError::message("connection refused by upstream").with_status(404);
        assert_eq!(decided(&error), (Transient::No, "status 404".to_owned()));
    }

    #[test]
    fn statuses_are_sorted_as_documented() {
        for status in [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524] {
            assert_eq!(decided(&ProviderError::refused("x").with_status(status)).0, Transient::Yes, "{status}");
        }
        for status in [301, 302, 400, 401, 402, 403, 404, 405, 409, 410, 415, 422, 501, 505] {
            assert_eq!(decided(&ProviderError::refused("x").with_status(status)).0, Transient::No, "{status}");
        }
    }

    #[test]
    fn an_unreadable_answer_is_tried_once_more() {
        assert_eq!(decided(&ProviderError::unreadable("x").with_status(200)).0, Transient::Once);
    }

    #[test]
    fn only_silence_and_server_errors_say_that_the_provider_is_down() {
        let patterns = TransientPatterns::compile(false, &[]).unwrap();
        let of = |error: ProviderError| health(&error, &decide(&error, &patterns));
        assert_eq!(of(ProviderError::refused("x").with_status(503)), ProviderHealth::Down);
        assert_eq!(of(ProviderError::not_sent("x")), ProviderHealth::Down);
        assert_eq!(of(ProviderError::message("connection refused")), ProviderHealth::Down);
        assert_eq!(of(ProviderError::message("card declined")), ProviderHealth::Up);
        assert_eq!(of(ProviderError::refused("x").with_status(429)), ProviderHealth::Up);
        assert_eq!(of(ProviderError::refused("x").with_status(404)), ProviderHealth::Up);
        assert_eq!(of(ProviderError::refused("x")), ProviderHealth::Up);
    }
}
