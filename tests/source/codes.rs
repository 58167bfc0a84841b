//! A code says one thing: each condition of the errors, and each finding, has one of its own, and the docs name it.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::texts_of;

/// A row of a table, as the docs of an error write it: the code, the status, and whether the call may be made again.
type Row = String;

#[test]
fn each_condition_has_a_code_of_its_own_and_a_row_in_the_docs() {
    let sources = texts_of("src").unwrap();
    let mut conditions: BTreeMap<String, Vec<(String, Row)>> = BTreeMap::new();
    let mut rows = BTreeSet::new();
    for (path, text) in &sources {
        for (code, row) in conditions_in(text) {
            conditions.entry(code).or_default().push((path.clone(), row));
        }
        rows.extend(rows_in(text));
    }
    assert!(conditions.len() > 50, "conditions are not found: {}", conditions.len());
    let mut breaches = Vec::new();
    for (code, places) in &conditions {
        if places.len() > 1 {
            breaches.push(format!("`{code}` is the code of {} conditions: {places:?}", places.len()));
        }
        breaches.extend(
            places
                .iter()
                .filter(|(_, row)| !rows.contains(row))
                .map(|(path, row)| format!("no table has {row} of {path}")),
        );
    }
    let told: BTreeSet<_> = conditions.values().flatten().map(|(_, row)| row).collect();
    breaches.extend(rows.iter().filter(|row| !told.contains(row)).map(|row| format!("no condition has the row {row}")));
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn two_values_of_an_enum_never_share_a_name_or_code() {
    let (mut enums, mut breaches) = (0, Vec::new());
    for (path, text) in texts_of("src").unwrap() {
        for names in names_in(&text) {
            enums += 1;
            let distinct: BTreeSet<_> = names.iter().collect();
            if distinct.len() < names.len() {
                breaches.push(format!("{path}: two values share one of {names:?}"));
            }
        }
    }
    assert!(enums > 10, "enums with names are not found: {enums}");
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn conditions_rows_and_arms_are_found_as_they_are_written() {
    let text = "const A: Condition = Condition::passing(Class::Store, \"away\", 503);\n lasting(\"gone\", 409),\n\
                pub(crate) const fn lasting(class: Class, code: &'static str, status: u16) -> Self {\n";
    let found: Vec<_> = conditions_in(text).into_iter().map(|(_, row)| row).collect();
    assert_eq!(found, ["| `away` | 503 | yes |", "| `gone` | 409 | no |"]);
    let table = "/// | `away` | 503 | yes | the store is away |\n/// | code | status | retryable | when |\n";
    assert_eq!(rows_in(table).collect::<Vec<_>>(), ["| `away` | 503 | yes |"]);
    let text = "named! {\n pub enum A {\n /// One.\n One = \"one\",\n Two(u8) = \"two\",\n } code(self: &Self)\n}\n\
                    fn code(&self) {\n match self {\n Self::One => \"one\",\n Self::Two(_) | Self::Three => \"two\",\n }\n    }\n";
    assert_eq!(names_in(text), [vec!["one", "two"], vec!["one", "two", "two"]]);
}

/// What the docs say of a code.
pub(crate) struct Told {
    pub(crate) status: String,
    pub(crate) again: String,
    pub(crate) when: String,
}

/// What the docs say of every code; of one in several tables, what the first of them says, the table of common ones before all.
pub(crate) fn conditions_told() -> BTreeMap<String, Told> {
    let mut sources = texts_of("src").unwrap_or_default();
    sources.sort_by_key(|(path, _)| (path != "src/error_info.rs", path.clone()));
    let mut told = BTreeMap::new();
    for (_, text) in &sources {
        for [code, status, again, when] in cells_in(text) {
            let said = || Told { status: status.to_owned(), again: again.to_owned(), when: when.to_owned() };
            let told = told.entry(code.trim_matches('`').to_owned()).or_insert_with(said);
            if told.when.is_empty() {
                when.clone_into(&mut told.when);
            }
        }
    }
    told
}

/// Every condition that is made in a source, by its code, with the row that the docs should have.
fn conditions_in(text: &str) -> Vec<(String, Row)> {
    let mut found = Vec::new();
    for (makes, again) in [("passing(", "yes"), ("lasting(", "no")] {
        for (at, _) in text.match_indices(makes) {
            let call = text.get(at..).and_then(|rest| rest.split_once(')')).map_or("", |(call, _)| call);
            // Other functions that end alike, and the two themselves, are given no code and status.
            let mut parts = call.split('"').skip(1);
            if let (Some(code), Some(status)) = (parts.next(), parts.next()) {
                let status = status.trim_matches([',', ' ']);
                if status.parse::<u16>().is_ok() {
                    found.push((code.to_owned(), format!("| `{code}` | {status} | {again} |")));
                }
            }
        }
    }
    found
}

/// The rows of the tables of errors in a source, without what they say of when.
fn rows_in(text: &str) -> impl Iterator<Item = Row> + '_ {
    cells_in(text).map(|[code, status, again, _]| format!("| {code} | {status} | {again} |"))
}

/// The cells of these rows.
fn cells_in(text: &str) -> impl Iterator<Item = [&str; 4]> {
    text.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_start().strip_prefix("/// |")?.split('|').map(str::trim).collect();
        let &[code, status, again, ref rest @ ..] = cells.as_slice() else { return None };
        let when = rest.first().copied().unwrap_or_default();
        (status.parse::<u16>().is_ok() && matches!(again, "yes" | "no")).then_some([code, status, again, when])
    })
}

/// The names of each enum that states them in a list or in a `code`: one for each value that has it.
fn names_in(text: &str) -> Vec<Vec<&str>> {
    let lists = bodies(text, "named! {\n", "\n}\n")
        .map(|list| list.lines().filter_map(|line| Some((1, quoted(line.split_once(" = ")?.1)?))).collect::<Vec<_>>());
    let matches = bodies(text, "fn code", "\n    }\n").map(|body| {
        body.split(",\n")
            .filter_map(|arm| {
                let (pattern, name) = arm.split_once("=>")?;
                // A code may stand beside something else.
                Some((pattern.split('|').count(), quoted(name.trim_start().trim_start_matches('('))?))
            })
            .collect()
    });
    lists
        .chain(matches)
        .map(|names| names.into_iter().flat_map(|(times, name)| vec![name; times]).collect())
        .filter(|names: &Vec<_>| !names.is_empty())
        .collect()
}

/// What stands between the first quotes, where a text begins with them.
fn quoted(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split_once('"').map(|(name, _)| name)
}

/// What stands between each beginning and the next end after it.
fn bodies<'t>(text: &'t str, begin: &'t str, end: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(begin).skip(1).map(move |rest| rest.split_once(end).map_or(rest, |(body, _)| body))
}
