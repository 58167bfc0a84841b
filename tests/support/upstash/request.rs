use super::loopback::head::{self, split_target};

/// What the server needs from a request's head, borrowed from the connection's buffer.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// What follows `Bearer`.
    pub(super) token: Option<&'a str>,
    /// Whether texts in the answer are to be encoded.
    pub(super) wants_base64: bool,
    /// None where it is not stated, and for a body in chunks.
    pub(super) content_length: Option<usize>,
    pub(super) keep_alive: bool,
}

impl<'a> Head<'a> {
    /// Reads a head; `None` when it is not HTTP/1.x.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        let parts = head::split(raw)?;
        let mut head = Self {
            method: parts.method,
            path: split_target(parts.target).0,
            token: None,
            wants_base64: false,
            content_length: None,
            keep_alive: parts.is_1_1,
        };
        for (name, value) in parts.fields {
            if name.eq_ignore_ascii_case("authorization") {
                head.token = head::bearer(value);
            } else if name.eq_ignore_ascii_case("upstash-encoding") {
                head.wants_base64 = value.eq_ignore_ascii_case("base64");
            } else if name.eq_ignore_ascii_case("content-length") {
                head.content_length = value.parse().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                head.keep_alive = head::keeps_alive(head.keep_alive, value);
            }
        }
        Some(head)
    }
}

/// A command as it came: texts as they are, numbers and booleans as JSON writes them.
pub(super) fn command(value: &serde_json::Value) -> Option<Vec<String>> {
    let arguments = value.as_array().filter(|arguments| !arguments.is_empty())?;
    let text = |argument: &serde_json::Value| match argument {
        serde_json::Value::String(text) => Some(text.clone()),
        number @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(number.to_string()),
        _ => None,
    };
    arguments.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_its_case() {
        let raw = b"POST /pipeline?x=1 HTTP/1.1\r\nAUTHORIZATION: bearer t1\r\nupstash-ENCODING: Base64\r\ncontent-length: 12\r\n\r\n";
        let head = Head::parse(raw).unwrap();
        assert_eq!((head.method, head.path, head.token), ("POST", "/pipeline", Some("t1")));
        assert_eq!((head.wants_base64, head.content_length, head.keep_alive), (true, Some(12), true));
        let bare = Head::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!((bare.token, bare.wants_base64, bare.content_length, bare.keep_alive), (None, false, None, false));
    }

    #[test]
    fn a_command_is_an_array_of_plain_values() {
        let read = |text: &str| command(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"["SET","k","v","px",1000,true]"#).unwrap(), ["SET", "k", "v", "px", "1000", "true"]);
        for wrong in ["[]", "{}", r#""GET""#, r#"["GET",null]"#, r#"["GET",["k"]]"#] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
