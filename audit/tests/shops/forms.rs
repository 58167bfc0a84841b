//! How a source is written changes nothing: white space and the names of locals.

use std::fs;
use std::path::Path;

use crate::tree::Shop;

/// Names of locals in the fixtures, each with another one.
const RENAMED: &[(&str, &str)] = &[
    ("body", "sent"),
    ("key", "token1"),
    ("order", "thing"),
    ("session", "who"),
    ("event", "news"),
    ("intent", "plan1"),
    ("items", "lines1"),
    ("product", "ware"),
    ("record", "former"),
    ("raw", "bytes1"),
];

/// Renames locals: words that are no member, no field of an object, and in no text.
fn renamed(text: &str) -> String {
    let mut out = String::new();
    let signs: Vec<char> = text.chars().collect();
    let mut at = 0;
    // Within round brackets `name:` is a parameter with its type; within others it is a field.
    let mut brackets: Vec<char> = Vec::new();
    // Texts and templates are left as they are, except for what is filled in.
    let mut quotes: Vec<char> = Vec::new();
    while at < signs.len() {
        let sign = signs[at];
        let quote = quotes.last().copied();
        if quote.is_some_and(|quote| quote != '}') {
            if sign == '$' && signs.get(at + 1) == Some(&'{') && quote == Some('`') {
                out.push_str("${");
                quotes.push('}');
                at += 2;
                continue;
            }
            if Some(sign) == quote {
                quotes.pop();
            }
            out.push(sign);
            at += 1;
            continue;
        }
        match sign {
            '\'' | '"' | '`' => quotes.push(sign),
            '}' if quote == Some('}') => {
                quotes.pop();
            }
            '{' if quote == Some('}') => return text.to_owned(),
            '(' | '[' | '{' => brackets.push(sign),
            ')' | ']' | '}' => {
                brackets.pop();
            }
            _ => {}
        }
        if sign.is_alphabetic() || sign == '_' {
            let word: String = signs[at..].iter().take_while(|sign| sign.is_alphanumeric() || **sign == '_').collect();
            at += word.chars().count();
            let after = signs[at..].iter().find(|sign| !sign.is_whitespace());
            let filled = out.ends_with("${");
            let before = out.trim_end().chars().last().filter(|_| !filled);
            let short = brackets.last() == Some(&'{') && shorthand(before, after);
            let field = before == Some('.') && !out.trim_end().ends_with("...");
            let other = RENAMED.iter().find(|(name, _)| *name == word).map(|(_, other)| *other);
            match other {
                Some(other) if !field && (after != Some(&':') || brackets.last() == Some(&'(')) && !short => {
                    out.push_str(other);
                }
                // `{ key }` is `{ key: other }`, in objects and in patterns alike.
                Some(other) if !field && short => {
                    out.push_str(&word);
                    out.push_str(": ");
                    out.push_str(other);
                }
                _ => out.push_str(&word),
            }
            continue;
        }
        out.push(sign);
        at += 1;
    }
    out
}

fn shorthand(before: Option<char>, after: Option<&char>) -> bool {
    matches!(before, Some('{' | ',')) && matches!(after, Some(',' | '}'))
}

/// Spreads a source over more lines, without breaking what a line's end ends.
fn reflowed(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        out.push_str(&"\t".repeat(indent * 2));
        out.push_str(line.trim_start());
        out.push_str("\n\n");
    }
    out
}

fn every_fixture(check: impl Fn(&Path, &Shop)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut seen = 0;
    for rule in fs::read_dir(&root).unwrap() {
        for kind in ["bad", "good"] {
            let Ok(shops) = fs::read_dir(rule.as_ref().unwrap().path().join(kind)) else { continue };
            for shop in shops {
                let path = shop.unwrap().path();
                if path.is_dir() && !path.join("Cargo.toml").exists() {
                    seen += 1;
                    check(&path, &Shop::read(&path));
                }
            }
        }
    }
    assert!(seen > 50, "{seen} fixtures");
}

fn changed(shop: &Shop, change: impl Fn(&str) -> String) -> Shop {
    let mut other = shop.clone();
    for (path, text) in &mut other.files {
        if [".ts", ".js"].iter().any(|ending| path.ends_with(ending)) {
            *text = change(text);
        }
    }
    other
}

#[test]
fn white_space_changes_nothing() {
    every_fixture(|path, shop| {
        assert_eq!(changed(shop, reflowed).said(), shop.said(), "{}", path.display());
    });
}

#[test]
fn names_of_locals_change_nothing() {
    every_fixture(|path, shop| {
        let other = changed(shop, renamed);
        assert_eq!(other.said(), shop.said(), "{}\n{:?}", path.display(), other.files);
    });
}

#[test]
fn locals_are_renamed_and_members_are_not() {
    let text = "const { key, items } = body; f(`${key}:key`, body.items, { key, order: key })";
    let other =
        "const { key: token1, items: lines1 } = sent; f(`${token1}:key`, sent.items, { key: token1, order: token1 })";
    assert_eq!(renamed(text), other);
}
