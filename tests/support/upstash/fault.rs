use std::time::Duration;

/// One way in which a request goes wrong. The token is checked first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 with a text body; nothing is run.
    TooManyRequests {
        /// Sent as `Retry-After`, rounded up to whole seconds; none leaves the header out.
        retry_after: Option<Duration>,
    },
    /// An HTML page with this status, as a proxy sends it; nothing is run.
    Page(u16),
    /// The commands are run, and the answer is an HTML page with this status.
    PageAfter(u16),
    /// This status with `{"error": …}`; nothing is run.
    Error(u16, String),
    /// The error of a plan whose requests are used up; nothing is run.
    QuotaUsedUp,
    /// The connection is closed; nothing is run.
    DropRequest,
    /// The commands are run, and the connection is closed without an answer.
    DropReply,
    /// The commands are run, and half of the answer is sent.
    CutReply,
    /// The commands are run, and 4 MiB are sent behind the answer.
    HugeReply,
    /// No answer ever; nothing is run, and the connection stays open until the client closes it.
    Stall,
    /// The commands are run, and no answer is ever sent.
    StallReply,
    /// The commands are run, and the answer comes after this long.
    Late(Duration),
}

impl Fault {
    /// Whether the commands are run all the same.
    pub(super) fn runs(&self) -> bool {
        match self {
            Self::TooManyRequests { .. }
            | Self::Page(_)
            | Self::Error(..)
            | Self::QuotaUsedUp
            | Self::DropRequest
            | Self::Stall => false,
            Self::PageAfter(_)
            | Self::DropReply
            | Self::CutReply
            | Self::HugeReply
            | Self::StallReply
            | Self::Late(_) => true,
        }
    }
}
