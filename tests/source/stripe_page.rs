//! docs/stripe.md lists every field and every word of Stripe's that the adapter reads, and no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::markdown::{quoted, section};

const PAGE: &str = include_str!("../../docs/stripe.md");
const WIRE: &str = include_str!("../../src/provider/stripe/wire.rs");
const LISTS: &str = include_str!("../../src/provider/stripe/list/page.rs");
const DISPUTES: &str = include_str!("../../src/provider/stripe/disputes.rs");

/// The files that tell Stripe's words apart.
const READERS: [&str; 7] = [
    include_str!("../../src/provider/stripe/session.rs"),
    include_str!("../../src/provider/stripe/payment.rs"),
    include_str!("../../src/provider/stripe/payment/amounts.rs"),
    include_str!("../../src/provider/stripe/payment/danger.rs"),
    include_str!("../../src/provider/stripe/payment/method.rs"),
    include_str!("../../src/provider/stripe/payment/waiting.rs"),
    DISPUTES,
];

/// So many fields of one form in one object stand as `*` on the page.
const SEVERAL: usize = 3;

/// The fields of each struct: the name in JSON, and the type.
type Structs = BTreeMap<String, Vec<(String, String)>>;

#[test]
fn the_page_lists_every_field_that_is_read() {
    let structs = structs(&[WIRE, DISPUTES, LISTS].concat());
    assert!(structs.len() >= 20, "{structs:?}");
    for (root, heading) in [
        ("Intent", "## The payment intent"),
        ("Session", "## The Checkout session"),
        ("Page", "## Disputes"),
        ("WirePage", "## Lists"),
        ("WireChange", "### Refunds and disputes of a window"),
        ("WireEvent", "### Events of a window"),
    ] {
        let mut read = BTreeSet::new();
        add_paths(&structs, root, "", &mut read);
        assert_eq!(
            first_cells(section(PAGE, heading).unwrap(), "| field |"),
            read,
            "{heading}: left: docs/stripe.md; right: the structs that are read"
        );
    }
}

#[test]
fn the_page_lists_every_word_that_is_told_apart() {
    let told: BTreeSet<String> = READERS.iter().flat_map(|source| words(source)).collect();
    assert!(told.len() >= 60, "{told:?}");
    let quoted = quoted(PAGE);
    let missing: Vec<_> = told.iter().filter(|word| !quoted.contains(*word)).collect();
    assert!(missing.is_empty(), "the code tells these apart and docs/stripe.md does not name them: {missing:?}");
    let named: BTreeSet<String> =
        PAGE.split("\n## ").flat_map(|section| first_cells(section, "| Stripe's word |")).collect();
    let unread: Vec<_> = named
        .iter()
        .filter(|word| !told.contains(*word) && !["pending", "requires_action"].contains(&&***word))
        .collect();
    assert!(unread.is_empty(), "docs/stripe.md names these and the code does not: {unread:?}");
}

/// The structs of a source that are read from JSON. An enum that reads one of its structs stands for it.
fn structs(source: &str) -> Structs {
    let mut structs = Structs::new();
    let (mut name, mut renamed) = (None, None);
    for line in source.lines().map(str::trim) {
        let line = line.trim_start_matches("pub(super) ");
        if let Some(rest) = line.strip_prefix("struct ").filter(|rest| rest.ends_with('{')) {
            name = rest.split([' ', '<']).next().map(str::to_owned);
        } else if line == "}" {
            name = None;
        } else if let Some((_, rest)) = line.split_once("rename = \"") {
            renamed = rest.split('"').next().map(str::to_owned);
        } else if let (Some(name), Some((field, kind))) = (&name, line.split_once(": "))
            && field.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            let field = renamed.take().unwrap_or_else(|| field.to_owned());
            structs.entry(name.clone()).or_default().push((field, kind.trim_end_matches(',').to_owned()));
        }
    }
    structs
}

/// Adds the fields of a struct, with their places, and of what stands in them.
fn add_paths(structs: &Structs, name: &str, place: &str, paths: &mut BTreeSet<String>) {
    let fields = &structs[name];
    for (field, kind) in fields {
        let inner = inner(structs, kind);
        let alike = fields.iter().filter(|(_, other)| other == kind).count();
        let field = if inner.is_some() && alike >= SEVERAL { "*" } else { field };
        let path = if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
        // The intent has a section of its own.
        let Some(inner) = inner.filter(|inner| *inner != "Intent") else {
            paths.insert(path);
            continue;
        };
        if kind.starts_with("LatestCharge") {
            paths.insert(path.clone());
        }
        add_paths(structs, inner, &path, paths);
    }
}

/// The struct that stands in a field. What has an id alone, or is that id, is no more than an id.
fn inner<'s>(structs: &'s Structs, kind: &str) -> Option<&'s str> {
    let kind = kind.replace("LatestCharge", "Charge");
    let mut names = kind.split(|c: char| !c.is_ascii_alphanumeric()).filter(|name| *name != "Named");
    names.find_map(|name| structs.get_key_value(name).map(|(name, _)| name.as_str()))
}

/// The words in backticks in the first cells of the tables with this head.
fn first_cells(text: &str, head: &str) -> BTreeSet<String> {
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap_or_default())).collect()
}

/// The words that a source compares with, outside of its tests: in patterns, in lists, and beside `==` and `!=`.
fn words(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let compares = |line: &&str| {
        ["\"", "| \"", "Some(\"", "None | Some(\"", "waiting @", "[\""].iter().any(|start| line.starts_with(start))
            || ["== Some(\"", "!= Some(\"", "!= \""].iter().any(|part| line.contains(part))
    };
    let literals = code.lines().map(str::trim).filter(|line| !line.starts_with("//")).filter(compares);
    let literals = literals.flat_map(|line| line.split('"').skip(1).step_by(2));
    literals.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(str::to_owned).collect()
}
