//! Reads descriptions of an API in OpenAPI 3.0 and 3.1, in YAML and JSON.
//!
//! A description shows no effects and no checks, only what is promised: whether a key is asked for, and how answers look. So
//! what it lacks is at most medium.

mod document;
mod operation;
mod promises;
mod schema;

use crate::allow::MARK;
use crate::model::{Comment, Finding, Judgment, Names, Route, Span};

use self::document::{Document, Place};
use self::operation::operations;

/// The header that a key comes in, unless the settings name others.
const KEY_HEADER: &str = "Idempotency-Key";

/// What a description holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Its operations.
    pub routes: Vec<Route>,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// Comments that hold `payproof-allow`. JSON has none.
    pub comments: Vec<Comment>,
}

/// Why a file is no description that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDescribed {
    /// It is something else, which merely holds the word.
    Other,
    /// It is of a version that is not known.
    Version,
    /// It is not valid at this line and column.
    Broken(u32, u32),
}

/// Reads a description.
///
/// # Errors
/// If it is no OpenAPI 3.0 or 3.1, or not valid.
pub fn read(path: &str, text: &str, names: &Names) -> Result<Described, NotDescribed> {
    let document = Document::parse(text).map_err(|place| {
        // Of broken files those that say they are a description.
        let says = text.lines().take(20).any(|line| line.trim_start_matches([' ', '"', '{']).starts_with("openapi"));
        if says { NotDescribed::Broken(place.line, place.column) } else { NotDescribed::Other }
    })?;
    let root = document.root();
    let version = document.text_of(root, "openapi").ok_or(NotDescribed::Other)?;
    if !version.starts_with("3.0") && !version.starts_with("3.1") {
        return Err(NotDescribed::Version);
    }
    let key_headers: Vec<String> = std::iter::once(KEY_HEADER.to_owned()).chain(names.key.iter().cloned()).collect();
    let operations = operations(&document, &key_headers);
    let routes = operations.iter().map(|operation| Route {
        method: operation.method.clone(),
        path: operation.path.clone(),
        file: path.to_owned(),
        span: span(document.place(operation.key)),
        handler: operation.name.clone(),
        judgment: Judgment::Judged,
    });
    Ok(Described {
        routes: routes.collect(),
        findings: promises::findings(path, text, &document, &operations, names),
        comments: comments(text),
    })
}

fn span(place: Place) -> Span {
    Span { line: place.line, column: place.column, ..Span::default() }
}

fn comments(text: &str) -> Vec<Comment> {
    let lines = (1..).zip(text.lines());
    let held = lines.filter(|(_, line)| line.trim_start().starts_with('#') && line.contains(MARK));
    held.map(|(line, text)| Comment { line, text: text.trim().to_owned() }).collect()
}
