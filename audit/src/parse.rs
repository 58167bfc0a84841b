//! Syntax trees, within a time: grammars can be made to take very long.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Language, ParseOptions, Parser, Tree};

/// The longest that one file may take. Real ones take milliseconds.
const LONGEST: Duration = Duration::from_secs(2);

/// The syntax tree of a text, or nothing if it is not there in time. Text that breaks the grammar has a tree as well, with errors
/// in it.
#[must_use]
pub fn tree(grammar: &Language, text: &str) -> Option<Tree> {
    within(LONGEST, grammar, text)
}

#[allow(
    clippy::disallowed_methods,
    reason = "parsing holds a processor and waits for nothing, so its time is the real one"
)]
fn within(longest: Duration, grammar: &Language, text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(grammar).ok()?;
    let begun = Instant::now();
    let mut in_time =
        |_: &_| if begun.elapsed() < longest { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    let mut read = |at: usize, _| text.as_bytes().get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_takes_too_long_is_given_up() {
        let grammar = tree_sitter_rust::LANGUAGE.into();
        let text = "fn f() { g(1, 2, 3); }\n".repeat(20_000);
        assert!(within(Duration::ZERO, &grammar, &text).is_none());
        assert!(tree(&grammar, "fn f() {").is_some());
    }
}
