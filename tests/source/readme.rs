//! The README and the page of settings say what the crate says: the same example, and the same defaults.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of the table of defaults")]

use crate::markdown::section;

const README: &str = include_str!("../../README.md");
const CI: &str = include_str!("../../.ci/run");
const MANIFEST: &str = include_str!("../../Cargo.toml");
const SETTINGS: &str = include_str!("../../docs/settings.md");
const CRATE_DOCS: &str = include_str!("../../src/lib.rs");
const BUILDER: &str = include_str!("../../src/validator/builder/mod.rs");

/// The lines between the first fence that opens with `opening` and the next fence.
fn first_block<'t>(lines: impl Iterator<Item = &'t str>, opening: &str) -> Vec<&'t str> {
    lines.skip_while(|line| *line != opening).skip(1).take_while(|line| *line != "```").collect()
}

#[test]
fn the_example_is_the_one_that_runs_as_a_doc_test() {
    let docs = CRATE_DOCS.lines().map_while(|line| line.strip_prefix("//!"));
    let docs = first_block(docs.map(|line| line.strip_prefix(' ').unwrap_or(line)), "```standalone_crate");
    let visible: Vec<&str> = docs.into_iter().filter(|line| *line != "#" && !line.starts_with("# ")).collect();
    // The first; the service after it is compiled with the doc tests, as it stands.
    let readme = first_block(README.lines(), "```rust");
    assert!(readme.len() >= 10, "the README has an example");
    assert_eq!(readme, visible);
}

/// Longer, and a newcomer does not read it; what is looked up once stands in `docs/`.
const MOST_LINES: usize = 150;

#[test]
fn the_readme_is_short_and_says_the_guarantees_in_ten_lines() {
    let lines = README.lines().count();
    assert!(lines <= MOST_LINES, "README.md has {lines} lines, and {MOST_LINES} at most");
    let guarantees = section(README, "## Guarantees and limits").unwrap();
    assert_eq!(guarantees.lines().filter(|line| line.starts_with("- ")).count(), 10);
}

#[test]
fn the_two_commands_are_those_that_ci_calls() {
    let commands = first_block(README.lines(), "```sh");
    assert_eq!(commands.len(), 2);
    for command in commands {
        let command = command.split(" #").next().unwrap_or_default().trim_end();
        assert!(CI.lines().any(|line| line == command), ".ci/run does not call `{command}`");
    }
}

#[test]
fn the_oldest_rust_is_the_manifests() {
    let oldest = MANIFEST.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(README.contains(&format!("Rust {oldest} or newer")), "README.md: rust-version is {oldest}");
}

/// The rows of the table of defaults, each as the setting and what is said of it.
fn defaults(text: &'static str, prefix: &str) -> Vec<(&'static str, &'static str)> {
    let mut table = text.lines().filter_map(|line| line.strip_prefix(prefix)).skip_while(|line| *line != HEAD);
    table.by_ref().take(2).for_each(drop);
    let rows = table.map_while(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    rows.collect()
}

const HEAD: &str = "| setting | default |";

#[test]
fn the_defaults_are_those_of_the_builder() {
    let builder = defaults(BUILDER, "/// ");
    assert!(builder.len() >= 15, "the builder has a table of defaults");
    assert_eq!(defaults(SETTINGS, ""), builder);
}

#[test]
fn the_table_says_what_the_constants_are() {
    let mut compared = 0;
    for line in BUILDER.lines().map(|line| line.trim_start().trim_start_matches("pub ")) {
        let constant = line.strip_prefix("const ").and_then(|rest| rest.strip_suffix(';')?.split_once(": "));
        let Some((name, (_, value))) = constant.and_then(|(name, rest)| Some((name, rest.split_once(" = ")?))) else {
            continue;
        };
        let setting = name.to_lowercase();
        if let Some((_, said)) = defaults(BUILDER, "/// ").into_iter().find(|(named, _)| *named == setting) {
            assert_eq!(in_table(said), in_code(value), "{setting}: {said}");
            compared += 1;
        }
    }
    assert!(compared >= 12, "{compared} constants");
    assert_eq!(in_code(&payproof::Retry::RETRIES.to_string()), "3", "`retry` says 3 retries");
}

/// A number, a time in seconds, or a text: `Duration::from_secs(15 * 60)` is 900.
fn in_code(value: &str) -> String {
    let text = value.trim_start_matches("Duration::from_secs(").trim_end_matches(')').replace('_', "");
    let product: Option<u64> = text.split(" * ").map(|factor| factor.parse::<u64>().ok()).product();
    product.map_or(text.replace('"', ""), |number| number.to_string())
}

/// The same of what a table says: `15 min` is 900.
fn in_table(said: &str) -> String {
    let mut words = said.split(' ').map(|word| word.trim_matches([',', '`']));
    let first = words.next().unwrap_or_default().replace(',', "");
    let seconds = match words.next() {
        Some("min") => 60,
        Some("h") => 3_600,
        Some("days") => 86_400,
        _ => 1,
    };
    first.parse::<u64>().map_or(first, |number| (number * seconds).to_string())
}
