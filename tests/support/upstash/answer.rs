use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::command::{Failed, Value};
use super::loopback::date::{http_date, unix_now};
use super::loopback::head::reason;

/// What one request is answered with.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    content_type: &'static str,
    retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn result(result: Result<Value, Failed>, base64: bool) -> Self {
        match result {
            Ok(value) => Self::json(200, &json!({ "result": json_of(value, base64) })),
            Err(failed) => Self::error(400, &failed.0),
        }
    }

    /// The answer to a pipeline or a transaction that ran.
    pub(super) fn results(results: Vec<Result<Value, Failed>>, base64: bool) -> Self {
        let each = |result| match result {
            Ok(value) => json!({ "result": json_of(value, base64) }),
            Err(Failed(text)) => json!({ "error": text }),
        };
        Self::json(200, &Json::Array(results.into_iter().map(each).collect()))
    }

    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }

    pub(super) fn throttled(retry_after: Option<u64>) -> Self {
        Self { status: 429, content_type: "text/plain", retry_after, body: b"slow down".to_vec() }
    }

    pub(super) fn page(status: u16) -> Self {
        let title = reason(status);
        let page =
            format!("<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\r\n");
        Self { status, content_type: "text/html", retry_after: None, body: page.into_bytes() }
    }

    fn json(status: u16, body: &Json) -> Self {
        Self { status, content_type: "application/json", retry_after: None, body: body.to_string().into_bytes() }
    }

    /// Appends the status line and all headers; `length` is the body's.
    pub(super) fn write_head(
        &self,
        out: &mut Vec<u8>,
        length: usize,
        sync_token: u64,
        keep_alive: bool,
    ) -> io::Result<()> {
        let Self { status, content_type, retry_after, .. } = self;
        let date = http_date(unix_now());
        write!(
            out,
            "HTTP/1.1 {status} {}\r\nServer: payproof-stand-in\r\nDate: {date}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\nUpstash-Sync-Token: stand-in-{sync_token}\r\n",
            reason(*status),
        )?;
        if let Some(seconds) = retry_after {
            write!(out, "Retry-After: {seconds}\r\n")?;
        }
        let connection = if keep_alive { "keep-alive" } else { "close" };
        write!(out, "Connection: {connection}\r\n\r\n")
    }
}

/// Every text is encoded but the literal OK.
fn json_of(value: Value, base64: bool) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Ok => "OK".into(),
        Value::Integer(number) => number.into(),
        Value::Text(bytes) if base64 => STANDARD.encode(bytes).into(),
        Value::Text(bytes) => String::from_utf8_lossy(&bytes).into(),
        Value::List(values) => values.into_iter().map(|value| json_of(value, base64)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_encoded_but_ok() {
        let value = || Value::List(vec![Value::Ok, Value::Text(b"a".to_vec()), Value::Null, Value::Integer(-2)]);
        assert_eq!(json_of(value(), true), json!(["OK", "YQ==", null, -2]));
        assert_eq!(json_of(value(), false), json!(["OK", "a", null, -2]));
    }
}
