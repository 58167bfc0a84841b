use std::fmt;

use super::head;

/// One request as the server read it.
///
/// Its `Debug` leaves out the value of `Authorization`; [`headers`](Self::headers) has it.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl RecordedRequest {
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let head = head::split(raw)?;
        let (path, query) = head::split_target(head.target);
        Some(Self {
            method: head.method.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: head.fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path without the query, as sent: percent-encoding is kept.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the question mark, as sent; none when there is no question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Every header in order, its name spelled as sent, secrets included.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(String, String)| {
            let secret = name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("proxy-authorization");
            (name.clone(), if secret { "[redacted]".to_owned() } else { value.clone() })
        };
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("headers", &self.headers.iter().map(shown).collect::<Vec<_>>())
            .finish()
    }
}
