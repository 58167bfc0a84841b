//! The parts of a request's head, borrowed from the connection's buffer.

use http::StatusCode;

/// The request line and the headers. Control characters are refused, since values are echoed into answers.
pub(crate) struct Parts<'a, F> {
    pub(crate) method: &'a str,
    /// The request target as it was sent, with its query.
    pub(crate) target: &'a str,
    /// HTTP/1.1, where connections are kept unless it is said otherwise, and not HTTP/1.0.
    pub(crate) is_1_1: bool,
    /// Each header as name and trimmed value.
    pub(crate) fields: F,
}

/// Splits a head, line ends included; `None` when it is not HTTP/1.x.
pub(crate) fn split(raw: &[u8]) -> Option<Parts<'_, impl Iterator<Item = (&str, &str)>>> {
    let text = std::str::from_utf8(raw).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let line = lines.next()?;
    if text.split("\r\n").any(|line| line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')) {
        return None;
    }
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || method.is_empty() || !target.starts_with('/') {
        return None;
    }
    let is_1_1 = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let fields = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()));
    Some(Parts { method, target, is_1_1, fields })
}

/// Path and query.
pub(crate) fn split_target(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// What the `Connection` header makes of a connection that would be kept or not.
pub(crate) fn keeps_alive(by_default: bool, connection: &str) -> bool {
    if connection.eq_ignore_ascii_case("close") {
        false
    } else {
        by_default || connection.eq_ignore_ascii_case("keep-alive")
    }
}

/// The key or token of an `Authorization` header, unless it is empty.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// The phrase in a status line. It may be anything, and clients must not read it.
pub(crate) fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Other")
}
