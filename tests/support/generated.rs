//! Blocks of the pages that are printed from code: `<!-- generated: NAME -->`, what is printed, `<!-- end -->`.
//!
//! A block that differs fails its test; with `PAYPROOF_WRITE_DOCS=1` the test writes it anew.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a page that cannot be read fails the test that compares it")]

use std::env;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Asks for blocks to be written.
const WRITES: &str = "PAYPROOF_WRITE_DOCS";

pub(crate) const END: &str = "<!-- end -->";

/// A page may have several blocks, of tests that run side by side.
static WRITING: Mutex<()> = Mutex::new(());

/// Compares a block of a page, by its path from the root, with what the code says.
pub(crate) fn compare(page: &str, name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = around(&text, name).unwrap_or_else(|| panic!("{page} has no block `{name}`"));
    let anew = format!("{before}\n{}\n{after}", said.trim_end());
    if anew == text {
        return;
    }
    assert!(
        env::var_os(WRITES).is_some(),
        "{page}: the block `{name}` differs from what the code says, which is below; {WRITES}=1 writes it\n{said}"
    );
    fs::write(&path, anew).unwrap();
}

/// The rows of a table in Markdown.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|{}", "---|".repeat(N))];
    lines.extend(rows.into_iter().map(|row| format!("| {} |", row.join(" | ")).replace("|  |", "| |")));
    lines.join("\n")
}

/// The text up to the end of a block's first line, and from its last line on.
fn around<'t>(text: &'t str, name: &str) -> Option<(&'t str, &'t str)> {
    let opening = format!("<!-- generated: {name} -->");
    let begin = text.find(&opening)?.checked_add(opening.len())?;
    let (before, rest) = text.split_at_checked(begin)?;
    rest.find(END).and_then(|end| rest.get(end..)).map(|after| (before, after))
}
