//! What an HTTP status says of whether the request was executed. The one table of it: the guard reads a provider's answers by
//! it, the endpoint a handler's, and the stores over REST a server's.

/// Whether a read that was answered with this status may succeed a little later: those of RFC 9110 and RFC 6585, and 520 to
/// 524 as proxies use them.
pub(crate) const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=524)
}

/// Whether a request that was answered with a status was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusMeaning {
    /// It was executed. A redirect says where the result is.
    Executed,
    /// It was turned away before anything was done: the same request may be made again, and may then succeed.
    NotExecuted,
    /// It was looked at, and will not be executed.
    Refused,
    /// It may have been executed or not.
    Unknown,
}

impl StatusMeaning {
    pub(crate) const fn of(status: u16) -> Self {
        match status {
            200..=399 => Self::Executed,
            // The credential or the right is missing, or the address is wrong; or it was too early, or too often.
            401 | 403 | 407 | 405 | 425 | 429 => Self::NotExecuted,
            // A server that waits for the rest of a request answers so, and one that gave up a handler under way, as
            // tower-http's `TimeoutLayer` does.
            408 => Self::Unknown,
            400..=499 => Self::Refused,
            // A server that failed may have done so after the fact.
            _ => Self::Unknown,
        }
    }
}
