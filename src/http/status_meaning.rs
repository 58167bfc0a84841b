//! What an HTTP status says of whether the request was executed. The one table of it: the guard reads a provider's answers by
//! it, the endpoint a handler's, and the stores over REST a server's.

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
    /// | status | meaning |
    /// |---|---|
    /// | 2xx, 3xx | executed |
    /// | 401, 403, 407 | not executed: the credential or the right is missing |
    /// | 405 | not executed: the address is wrong, which is for the operator to mend |
    /// | 425, 429 | not executed: too early, too often |
    /// | 408 | unknown: a server that waits for the rest of a request answers so, but so does one that gave up a handler under way, as tower-http's `TimeoutLayer` does |
    /// | any other 4xx | refused |
    /// | 1xx, 5xx, and what is no status | unknown: a server that failed may have done so after the fact |
    pub(crate) const fn of(status: u16) -> Self {
        match status {
            200..=399 => Self::Executed,
            401 | 403 | 405 | 407 | 425 | 429 => Self::NotExecuted,
            408 => Self::Unknown,
            400..=499 => Self::Refused,
            _ => Self::Unknown,
        }
    }
}
