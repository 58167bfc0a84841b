//! docs/auditing.md says of each rule what the program says, with the fix in both languages.

use std::fs;
use std::path::Path;

use payproof_audit::model::Rule;
use payproof_audit::settings::Settings;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/auditing.md");
    fs::read_to_string(path).unwrap()
}

/// On one line, so that it may be broken anywhere.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_explains_every_rule_in_the_programs_words() {
    let page = page();
    assert!(page.lines().count() <= 250, "{} lines", page.lines().count());
    let sections: Vec<&str> = page.split("\n### ").skip(1).collect();
    let rules: Vec<Rule> = Rule::ALL.iter().copied().filter(|rule| *rule != Rule::Allow).collect();
    assert_eq!(sections.len(), rules.len());
    for (section, rule) in sections.iter().zip(rules) {
        let (head, text) = section.split_once('\n').unwrap();
        assert_eq!(head, format!("{rule} ({})", rule.severity()));
        let said = joined(text);
        for words in [rule.summary(), rule.protects(), rule.fix()] {
            assert!(said.contains(words), "{rule}: {words}");
        }
        for language in ["```ts\n", "```rust\n"] {
            assert!(text.contains(language), "{rule} has no fix in {language}");
        }
    }
}

#[test]
fn the_pages_configuration_can_be_used() {
    let page = page();
    let text = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let settings = Settings::parse("page", text).unwrap();
    assert!(settings.names.delete && settings.names.envelope == Some(true), "{settings:?}");
}
