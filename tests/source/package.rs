//! What is published, and the numbers that more than one file of the package states.

use std::process::Command;

use crate::root;

const MANIFEST: &str = include_str!("../../Cargo.toml");
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");
const WORKFLOW: &str = include_str!("../../.github/workflows/ci.yml");
const PUBLIC_API: &str = include_str!("../../scripts/public-api");

/// The value of the manifest's first line `name = …`, without quotation marks; nothing, if there is none.
fn stated(name: &str) -> &'static str {
    let line = MANIFEST.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    line.unwrap_or_default().trim_matches('"')
}

/// What cargo says, run in the folder of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn the_package_holds_what_users_compile_run_and_read() {
    let list = cargo(&["package", "--package", "payproof", "--list", "--allow-dirty", "--offline"]);
    let made = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];
    let texts = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
    let wanted = |file: &&str| {
        let is_code = ["src/", "examples/"].iter().any(|start| file.starts_with(start));
        is_code || file.starts_with("docs/") || made.contains(file) || texts.contains(file)
    };
    let strange: Vec<&str> = list.lines().filter(|file| !wanted(file)).collect();
    assert!(strange.is_empty(), "published without a reason: {strange:?}");
    // What the sources take in when they are documented, and what the README links to.
    for file in texts.into_iter().chain(["docs/caching.md", "docs/README.md", "examples/observability/alerts.yaml"]) {
        assert!(list.lines().any(|listed| listed == file), "{file} is not published");
    }
}

#[test]
fn the_version_has_its_section_in_the_changelog() {
    let heading = format!("\n## [{}] - ", stated("version"));
    assert!(heading.contains('.'), "Cargo.toml states no version");
    assert!(CHANGELOG.contains(&heading), "CHANGELOG.md has no section {heading:?}");
}

#[test]
fn registries_take_the_keywords_and_know_where_the_documentation_is() {
    let keywords: Vec<&str> = stated("keywords").trim_matches(['[', ']']).split(", ").collect();
    assert!((1..=5).contains(&keywords.len()), "{keywords:?}");
    assert!(keywords.iter().all(|keyword| keyword.trim_matches('"').len() <= 20), "{keywords:?}");
    assert_eq!(stated("documentation"), "https://docs.rs/payproof");
}

#[test]
fn the_workflow_installs_the_compilers_that_are_asked_for() {
    let oldest = format!("rustup toolchain install {} ", stated("rust-version"));
    assert!(WORKFLOW.contains(&oldest), "ci.yml: {oldest:?}");
    let listing = PUBLIC_API.lines().find_map(|line| line.strip_prefix("COMPILER = ")).unwrap().trim_matches('"');
    let listing = format!("rustup toolchain install {listing} ");
    assert!(WORKFLOW.contains(&listing), "ci.yml: {listing:?}, for scripts/public-api");
    assert!(root().join("tests/public-api.txt").exists());
}
