//! The wire format, RESP2: commands as bytes, and bytes as replies.
//!
//! Written out here because this is where a stored answer spends its time: a transaction answers five replies, of which
//! four are skipped without being built.

/// Replies nest two deep in everything that is asked here; deeper ones are no server's.
const DEEPEST: u8 = 8;

/// What is sent in one go, and answered as one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// One command, as words.
    One(&'a [&'a [u8]]),
    /// Commands that run as one, or not at all.
    Atomic(&'a [&'a [&'a [u8]]]),
    /// The same, at a node that the key is being moved to.
    Asking(&'a Request<'a>),
}

impl Request<'_> {
    /// How many replies it is answered with, of which the last one counts.
    pub(super) const fn replies(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Atomic(commands) => commands.len().saturating_add(2),
            Self::Asking(request) => request.replies().saturating_add(1),
        }
    }

    pub(super) fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(words) => pack(words, out),
            Self::Atomic(commands) => {
                out.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
                for words in *commands {
                    pack(words, out);
                }
                out.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
            }
            Self::Asking(request) => {
                out.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
                request.pack(out);
            }
        }
    }
}

fn pack(words: &[&[u8]], out: &mut Vec<u8>) {
    header(b'*', words.len(), out);
    for word in words {
        header(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(kind: u8, count: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut left = count;
    let mut length = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(left % 10).unwrap_or_default());
        left /= 10;
        length = length.saturating_add(1);
        if left == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(digits.get(digits.len().saturating_sub(length)..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Nil,
    Integer(i64),
    /// A short text, such as `OK`.
    Text(Box<str>),
    Bytes(Vec<u8>),
    Array(Vec<Reply>),
    /// The server's refusal, as it words it.
    Error(Box<str>),
}

impl Reply {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The parts; none, if it has none.
    pub(super) fn array(&self) -> &[Reply] {
        match self {
            Self::Array(parts) => parts,
            _ => &[],
        }
    }
}

/// What the bytes so far hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<T> {
    /// It, and where it ends.
    Whole(T, usize),
    /// The beginning of something.
    Part,
    /// Nothing a Redis server sends.
    Garbled,
}

macro_rules! whole {
    ($parsed:expr) => {
        match $parsed {
            Parsed::Whole(value, end) => (value, end),
            Parsed::Part => return Parsed::Part,
            Parsed::Garbled => return Parsed::Garbled,
        }
    };
}

/// Finds the end of the reply that starts at `start`, and its text if it is an error.
pub(super) fn skip(bytes: &[u8], start: usize) -> Parsed<Option<Box<str>>> {
    if bytes.get(start) == Some(&b'-') {
        let (reply, end) = whole!(parse(bytes, start));
        let text = if let Reply::Error(text) = reply { Some(text) } else { None };
        return Parsed::Whole(text, end);
    }
    let ((), end) = whole!(skip_nested(bytes, start, DEEPEST));
    Parsed::Whole(None, end)
}

fn skip_nested(bytes: &[u8], start: usize, depth: u8) -> Parsed<()> {
    let (kind, line, after) = match head(bytes, start) {
        Parsed::Whole((kind, line), after) => (kind, line, after),
        Parsed::Part => return Parsed::Part,
        Parsed::Garbled => return Parsed::Garbled,
    };
    match (kind, number(line)) {
        (b'+' | b'-', _) | (b':', Some(_)) | (b'$' | b'*', Some(-1)) => Parsed::Whole((), after),
        (b'$', Some(length)) => {
            let (_, end) = whole!(bulk(bytes, after, length));
            Parsed::Whole((), end)
        }
        (b'*', Some(count @ 0..)) if depth > 0 => {
            let mut at = after;
            for _ in 0..count {
                ((), at) = whole!(skip_nested(bytes, at, depth.saturating_sub(1)));
            }
            Parsed::Whole((), at)
        }
        _ => Parsed::Garbled,
    }
}

/// Parses the reply that starts at `start`.
pub(super) fn parse(bytes: &[u8], start: usize) -> Parsed<Reply> {
    parse_nested(bytes, start, DEEPEST)
}

fn parse_nested(bytes: &[u8], start: usize, depth: u8) -> Parsed<Reply> {
    let ((kind, line), after) = whole!(head(bytes, start));
    let text = || String::from_utf8_lossy(line).into();
    match (kind, number(line)) {
        (b'+', _) => Parsed::Whole(Reply::Text(text()), after),
        (b'-', _) => Parsed::Whole(Reply::Error(text()), after),
        (b':', Some(number)) => Parsed::Whole(Reply::Integer(number), after),
        (b'$' | b'*', Some(-1)) => Parsed::Whole(Reply::Nil, after),
        (b'$', Some(length)) => {
            let (content, end) = whole!(bulk(bytes, after, length));
            Parsed::Whole(Reply::Bytes(content.to_vec()), end)
        }
        (b'*', Some(count @ 0..)) if depth > 0 => {
            let mut parts = Vec::new();
            let mut at = after;
            for _ in 0..count {
                let (part, end) = whole!(parse_nested(bytes, at, depth.saturating_sub(1)));
                parts.push(part);
                at = end;
            }
            Parsed::Whole(Reply::Array(parts), at)
        }
        _ => Parsed::Garbled,
    }
}

/// The first byte of a reply and the rest of its first line.
fn head(bytes: &[u8], start: usize) -> Parsed<(u8, &[u8])> {
    let Some((kind, rest)) = bytes.get(start..).and_then(<[u8]>::split_first) else { return Parsed::Part };
    if !b"+-:$*".contains(kind) {
        return Parsed::Garbled;
    }
    let Some(length) = rest.iter().position(|byte| *byte == b'\r') else { return Parsed::Part };
    let after = length.saturating_add(2);
    match (rest.get(..length), rest.get(length.saturating_add(1))) {
        (Some(line), Some(b'\n')) => Parsed::Whole((*kind, line), start.saturating_add(1).saturating_add(after)),
        (_, None) => Parsed::Part,
        _ => Parsed::Garbled,
    }
}

/// So many bytes and the end of their line.
fn bulk(bytes: &[u8], start: usize, length: i64) -> Parsed<&[u8]> {
    let Ok(length) = usize::try_from(length) else { return Parsed::Garbled };
    let end = start.saturating_add(length);
    let after = end.saturating_add(2);
    match (bytes.get(start..end), bytes.get(end..after)) {
        (Some(content), Some(b"\r\n")) => Parsed::Whole(content, after),
        (_, Some(_)) => Parsed::Garbled,
        _ => Parsed::Part,
    }
}

fn number(line: &[u8]) -> Option<i64> {
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    if negative { value.checked_neg() } else { Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(request: Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        request.pack(&mut out);
        out
    }

    #[test]
    fn requests_are_packed_with_the_lengths_of_their_bytes() {
        let long = vec![b'x'; 1_234_567];
        assert_eq!(packed(Request::One(&[b"GET", b"\r\n", b""])), b"*3\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n$0\r\n\r\n");
        assert!(packed(Request::One(&[&long])).starts_with(b"*1\r\n$1234567\r\nxxx"));
        let atomic = Request::Atomic(&[&[b"A"], &[b"B"]]);
        assert_eq!((atomic.replies(), Request::Asking(&atomic).replies()), (4, 5));
        assert!(packed(Request::Asking(&atomic)).starts_with(b"*1\r\n$6\r\nASKING\r\n*1\r\n$5\r\nMULTI\r\n"));
    }

    #[test]
    fn a_reply_is_whole_at_its_last_byte_and_not_before() {
        let bytes = b"*6\r\n+OK\r\n$-1\r\n$4\r\na\r\nb\r\n:-12\r\n*1\r\n*-1\r\n-ERR no\r\n+next";
        let whole = bytes.len().saturating_sub("+next".len());
        for end in 0..whole {
            assert_eq!(parse(&bytes[..end], 0), Parsed::Part, "{end}");
            assert_eq!(skip(&bytes[..end], 0), Parsed::Part, "{end}");
        }
        let parts = vec![
            Reply::Text("OK".into()),
            Reply::Nil,
            Reply::Bytes(b"a\r\nb".to_vec()),
            Reply::Integer(-12),
            Reply::Array(vec![Reply::Nil]),
            Reply::Error("ERR no".into()),
        ];
        assert_eq!(parse(bytes, 0), Parsed::Whole(Reply::Array(parts), whole));
        assert_eq!(skip(bytes, 0), Parsed::Whole(None, whole));
        assert_eq!(skip(b"-MOVED 1 a:1\r\n", 0), Parsed::Whole(Some("MOVED 1 a:1".into()), 14));
    }

    #[test]
    fn what_is_no_reply_is_garbled_and_harms_nothing() {
        let nested = b"*1\r\n".repeat(1000);
        let garbled: [&[u8]; 8] = [
            b"HTTP/1.1",
            b"$x\r\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b":\r\n",
            b":99999999999999999999\r\n",
            b"$1\r\nab\r\n",
            &nested,
        ];
        for bytes in garbled {
            assert_eq!(parse(bytes, 0), Parsed::Garbled, "{bytes:?}");
            assert_eq!(skip(bytes, 0), Parsed::Garbled, "{bytes:?}");
        }
        assert_eq!(parse(b"*9223372036854775807\r\n", 0), Parsed::Part);
        assert_eq!(parse(b"$9223372036854775807\r\n", 0), Parsed::Part);
    }
}
