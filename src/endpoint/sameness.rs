//! What a request asks for: a digest of everything in it that tells, as far as the service has it count.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Uri};

use crate::intent::fingerprint::Fingerprint;

use super::settings::Sameness;

/// The longest boundary between the parts of a multipart body (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

impl Sameness {
    /// A digest of everything that tells what is asked for. The same key with anything else is another request.
    ///
    /// The address counts as it was sent and as it is here: what stands between may have rewritten it by something else that
    /// was sent, and a request made of another one's parts still bears that one's.
    pub(super) fn fingerprint(&self, parts: &Parts, body: &[u8]) -> Fingerprint {
        let values = || parts.headers.get_all(CONTENT_TYPE).iter();
        let read: Vec<_> =
            if self.normalizes_content_type { values().map(MediaType::read).collect() } else { Vec::new() };
        let boundary = match read.as_slice() {
            [Some(only)] => only.boundary().filter(|boundary| starts_with(body, boundary)),
            _ => None,
        };
        let mut read = read.iter();
        let types: Vec<Cow<'_, [u8]>> = values()
            .map(|value| match read.next().and_then(Option::as_ref) {
                Some(read) => read.normalized(boundary.is_some()).into_bytes().into(),
                None => value.as_bytes().into(),
            })
            .collect();
        let queries = [whole_uri(parts), &parts.uri].map(|uri| (uri.path(), self.query(uri)));
        let addresses = queries.iter().flat_map(|(path, query)| [Some(*path), query.as_deref()]);
        let asked = addresses.map(|part| part.map(str::as_bytes)).chain(types.iter().map(|value| Some(&**value)));
        match boundary {
            // There may be any number of types. The body comes last, so that it is never taken for one.
            None => Fingerprint::of("request asks", asked.chain([Some(body)])),
            // What is absent ends the types, since there may be any number of sections too.
            Some(boundary) => {
                let sections = sections(body, &format!("\r\n--{boundary}")).into_iter().map(Some);
                Fingerprint::of("request asks in sections", asked.chain([None]).chain(sections))
            }
        }
    }

    /// The query without the parameters that say nothing.
    fn query<'u>(&self, uri: &'u Uri) -> Option<Cow<'u, str>> {
        let query = uri.query()?;
        let is_kept = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or_default();
            !self.ignored_query.iter().any(|ignored| **ignored == *name)
        };
        if query.split('&').all(|parameter| is_kept(&parameter)) {
            return Some(query.into());
        }
        let kept: Vec<_> = query.split('&').filter(is_kept).collect();
        (!kept.is_empty()).then(|| kept.join("&").into())
    }
}

/// A Content-Type, as it is compared.
struct MediaType {
    /// Type and subtype, in lower case.
    essence: String,
    /// Names in lower case, and values, in the order of both.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads it (RFC 9110 §8.3.1); `None` when it is anything else.
    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let (essence, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        while !rest.trim().is_empty() {
            let (name, value) = rest.split_once('=')?;
            let (value, behind) = value_of(value)?;
            parameters.push((name.trim().to_ascii_lowercase(), value));
            rest = behind;
        }
        for (_, value) in parameters.iter_mut().filter(|(name, _)| name == "charset") {
            value.make_ascii_lowercase();
        }
        parameters.sort_unstable();
        Some(Self { essence: essence.trim().to_ascii_lowercase(), parameters })
    }

    fn boundary(&self) -> Option<&str> {
        let (_, boundary) = self.parameters.iter().find(|(name, _)| name == "boundary")?;
        let is_one = self.essence.starts_with("multipart/") && (1..=LONGEST_BOUNDARY).contains(&boundary.len());
        is_one.then_some(boundary)
    }

    /// What it says. JSON is always in UTF-8 (RFC 8259 §8.1). The end of a line keeps it apart from a value as it was sent,
    /// and the length of a parameter's value keeps that apart from what follows.
    fn normalized(&self, without_boundary: bool) -> String {
        let mut text = format!("\n{}", self.essence);
        for (name, value) in &self.parameters {
            let says_nothing = self.essence == "application/json" && name == "charset" && value == "utf-8";
            let is_left_out = without_boundary && name == "boundary";
            if !(says_nothing || is_left_out) {
                let _ = write!(text, ";{name}={}:{value}", value.len());
            }
        }
        text
    }
}

/// A parameter's value, and what follows the next semicolon.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.trim_start().strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((value.trim().to_owned(), rest));
    };
    let (mut value, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => value.push(characters.next()?),
            plain => value.push(plain),
        }
    }
    let rest = characters.as_str().trim_start();
    if rest.is_empty() { Some((value, rest)) } else { Some((value, rest.strip_prefix(';')?)) }
}

/// Whether a body is one whose parts stand between this boundary.
fn starts_with(body: &[u8], boundary: &str) -> bool {
    body.strip_prefix(b"--").is_some_and(|rest| rest.starts_with(boundary.as_bytes()))
}

/// What stands between the borders, which are lines that begin with two hyphens and the boundary (RFC 2046 §5.1.1). The first
/// of them begins the body, and so ends no line.
fn sections<'b>(body: &'b [u8], border: &str) -> Vec<&'b [u8]> {
    let (mut sections, mut section) = (Vec::new(), body.get(border.len().saturating_sub(2)..).unwrap_or_default());
    let mut from = 0_usize;
    while let Some(at) = section.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\r')) {
        from = from.saturating_add(at);
        let (before, here) = section.split_at_checked(from).unwrap_or_default();
        match here.strip_prefix(border.as_bytes()) {
            Some(rest) => {
                sections.push(before);
                (section, from) = (rest, 0);
            }
            None => from = from.saturating_add(1),
        }
    }
    sections.push(section);
    sections
}

/// The address as the client sent it: a nested router of axum cuts off what it has read, and what is left is the same for
/// two of them.
#[cfg(feature = "axum")]
pub(super) fn whole_uri(parts: &Parts) -> &Uri {
    parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

#[cfg(not(feature = "axum"))]
pub(super) fn whole_uri(parts: &Parts) -> &Uri {
    &parts.uri
}
