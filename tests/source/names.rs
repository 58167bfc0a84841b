//! One type has one name, comments name roles, and the spelling is American.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::root;

/// Words that name no role: a comment or a message says caller, leader, waiter, owner, operator, process or client instead.
const WITHOUT_A_ROLE: &[&str] =
    &["anybody", "anyone", "everybody", "everyone", "nobody", "somebody", "someone", "whoever", "in vain"];

/// Stems of British spellings.
const BRITISH: &[&str] = &[
    "authoris",
    "behaviour",
    "catalogue",
    "centre",
    "colour",
    "defence",
    "favour",
    "honour",
    "initialis",
    "judgement",
    "labelled",
    "labell",
    "licence",
    "neighbour",
    "normalis",
    "optimis",
    "organis",
    "recognis",
    "sanitis",
    "serialis",
    "summaris",
    "synchronis",
    "tokenis",
    "utilis",
];

/// Names of other people's that hold such a stem.
const FOREIGN: &[&str] = &["optimistic", "aria-labelledby", "\"organisation\""];

/// What users and contributors read. The documents at the root count as well.
const ALL: &[&str] = &["src", "audit", "examples", "benches", "scripts", "tests"];

/// This file has to hold the words.
const THIS_FILE: &str = "tests/source/names.rs";

#[test]
fn a_types_bare_name_occurs_once_in_the_crate() {
    for (folder, at_least) in [("src", 300), ("audit/src", 50)] {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, text) in texts_of(folder).unwrap() {
            for (number, line) in (1..).zip(text.lines()) {
                if let Some(name) = shared_type(line) {
                    places.entry(name.to_owned()).or_default().push(format!("{path}:{number}"));
                }
            }
        }
        assert!(places.len() > at_least, "types are not found: {}", places.len());
        let shared: Vec<String> = places
            .iter()
            .filter(|(_, places)| places.len() > 1)
            .map(|(name, places)| format!("`{name}` is a type in {}", places.join(" and in ")))
            .collect();
        assert!(shared.is_empty(), "\n{}\ngive each a name of its own\n", shared.join("\n"));
    }
}

#[test]
fn comments_and_messages_name_roles() {
    let (breaches, lines) =
        found_in(ALL, |line| WITHOUT_A_ROLE.iter().find(|word| holds_word(line, word)).copied()).unwrap();
    assert!(lines > 60_000, "the sources are not found: {lines} lines");
    assert!(breaches.is_empty(), "\n{}\nname the role instead\n", breaches.join("\n"));
}

#[test]
fn the_spelling_is_american() {
    let (breaches, lines) = found_in(ALL, |line| {
        let line = FOREIGN.iter().fold(line.to_owned(), |line, foreign| line.replace(foreign, ""));
        BRITISH.iter().find(|stem| line.contains(*stem)).copied()
    })
    .unwrap();
    assert!(lines > 60_000, "the sources are not found: {lines} lines");
    assert!(breaches.is_empty(), "\n{}\nwrite it as the providers do\n", breaches.join("\n"));
}

#[test]
fn a_type_is_found_whatever_its_visibility_but_not_when_it_is_private() {
    for line in ["pub struct Found;", "    pub(crate) enum Found {", "pub(super) type Found = u8;", "pub union Found {"]
    {
        assert_eq!(shared_type(line), Some("Found"), "{line}");
    }
    for line in
        ["struct Found;", "    type Found = u8;", "// pub struct Found;", "pub fn found() {}", "pub trait Found {"]
    {
        assert_eq!(shared_type(line), None, "{line}");
    }
}

#[test]
fn a_word_is_found_as_a_word_alone() {
    assert!(holds_word("so that nobody waits", "nobody"));
    assert!(holds_word("a_name_that_nobody_chose", "nobody"));
    assert!(!holds_word("nobodyish", "nobody"));
    assert!(holds_word("asked in vain.", "in vain"));
}

/// The name of a type that more than its own file can see. Private types and associated ones may share theirs.
fn shared_type(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("pub")?;
    let item = match item.strip_prefix('(') {
        Some(limited) => limited.split_once(')')?.1,
        None => item,
    };
    let (kind, rest) = item.trim_start().split_once(' ')?;
    let end = rest.find(|mark: char| !mark.is_alphanumeric()).unwrap_or(rest.len());
    matches!(kind, "struct" | "enum" | "type" | "union").then(|| rest.get(..end)).flatten()
}

/// Whether the word stands between marks that belong to no word. A name in snake case is several words.
fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |mark: char| mark.is_alphanumeric();
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at.saturating_add(word.len())..).and_then(|after| after.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Every line in which a word is found, and how many lines there are.
fn found_in(folders: &[&str], found: impl Fn(&str) -> Option<&'static str>) -> io::Result<(Vec<String>, usize)> {
    let mut texts = documents()?;
    for folder in folders {
        texts.extend(texts_of(folder)?);
    }
    texts.retain(|(path, _)| path != THIS_FILE);
    let lines = texts.iter().flat_map(|(path, text)| (1..).zip(text.lines()).map(move |(at, line)| (path, at, line)));
    let mut breaches = Vec::new();
    for (path, at, line) in lines.clone() {
        if let Some(word) = found(&line.to_lowercase()) {
            breaches.push(format!("{path}:{at}: \"{word}\""));
        }
    }
    Ok((breaches, lines.count()))
}

/// The Markdown files at the root.
fn documents() -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

/// The files that are text below a folder at the root, each with its path from there.
pub(crate) fn texts_of(folder: &str) -> io::Result<Vec<(String, String)>> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("node_modules") {
                    folders.push(path);
                }
            } else if !path.ends_with("package-lock.json") {
                let name = path.strip_prefix(root()).map_err(io::Error::other)?.display().to_string();
                // What is no text has no words.
                if let Ok(text) = fs::read_to_string(&path) {
                    found.push((name, text));
                }
            }
        }
    }
    Ok(found)
}
