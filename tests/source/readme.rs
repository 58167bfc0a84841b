//! The README says what the crate says: the same example, and the same defaults.

const README: &str = include_str!("../../README.md");
const CRATE_DOCS: &str = include_str!("../../src/lib.rs");
const BUILDER: &str = include_str!("../../src/validator/builder/mod.rs");

/// The lines between the first fence that opens with `opening` and the next fence.
fn first_block<'t>(lines: impl Iterator<Item = &'t str>, opening: &str) -> Vec<&'t str> {
    lines.skip_while(|line| *line != opening).skip(1).take_while(|line| *line != "```").collect()
}

#[test]
fn the_example_is_the_one_that_runs_as_a_doc_test() {
    let docs = CRATE_DOCS.lines().map_while(|line| line.strip_prefix("//!"));
    let docs = first_block(docs.map(|line| line.strip_prefix(' ').unwrap_or(line)), "```");
    let visible: Vec<&str> = docs.into_iter().filter(|line| *line != "#" && !line.starts_with("# ")).collect();
    let readme = first_block(README.lines(), "```rust");
    assert!(readme.len() >= 10, "the README has an example");
    assert_eq!(readme, visible);
}

#[test]
fn the_defaults_are_those_of_the_builder() {
    let rows = |text: &'static str, prefix: &str| -> Vec<&'static str> {
        let table = text.lines().filter_map(|line| line.strip_prefix(prefix));
        let mut table = table.skip_while(|line| *line != "| setting | default |");
        table.by_ref().take(2).for_each(drop);
        table.take_while(|line| line.starts_with("| `")).collect()
    };
    let (readme, builder) = (rows(README, ""), rows(BUILDER, "/// "));
    assert!(builder.len() >= 15, "the builder has a table of defaults");
    assert_eq!(readme, builder);
}
