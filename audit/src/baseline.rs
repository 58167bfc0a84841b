//! Findings that were there before, so that only new ones are told.
//!
//! A finding is known again by its rule, file, handler and statement, not by its line. Each has a count: a second copy of a known
//! mistake is new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Finding;

/// The version of the file.
const SCHEMA: u32 = 1;

/// Findings that are known, with their counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<String, KnownFinding>,
}

/// A finding that is known, as the file holds it. All but the fingerprint and the count is for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFinding {
    /// The rule.
    pub rule: String,
    /// The file.
    pub path: String,
    /// Method and handler.
    pub handler: String,
    /// Of rule, file, handler and statement.
    pub fingerprint: String,
    /// How often it is there.
    pub count: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    findings: Vec<KnownFinding>,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not what `--write-baseline` wrote.
    #[error("the baseline cannot be read: {0}; write it anew with --write-baseline")]
    Malformed(String),
    /// It is of another version.
    #[error("the baseline has schema {0}, and this program knows {SCHEMA}; write it anew with --write-baseline")]
    Schema(u32),
}

impl Baseline {
    /// The findings as a baseline.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let mut known: BTreeMap<String, KnownFinding> = BTreeMap::new();
        for finding in findings {
            let fingerprint = fingerprint(finding);
            let entry = known.entry(fingerprint.clone()).or_insert_with(|| KnownFinding {
                rule: finding.rule.id().to_owned(),
                path: finding.path.clone(),
                handler: handler(finding),
                fingerprint,
                count: 0,
            });
            entry.count = entry.count.saturating_add(1);
        }
        Self { known }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// If it is not what `--write-baseline` wrote, or is of another version.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let file: File = serde_json::from_str(text).map_err(|error| BaselineError::Malformed(error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(BaselineError::Schema(file.schema));
        }
        Ok(Self { known: file.findings.into_iter().map(|known| (known.fingerprint.clone(), known)).collect() })
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut findings: Vec<KnownFinding> = self.known.values().cloned().collect();
        findings.sort();
        // Texts and numbers can always be written.
        let text = serde_json::to_string_pretty(&File { schema: SCHEMA, findings }).unwrap_or_default();
        format!("{text}\n")
    }

    /// Takes the known findings out of the list, the first of each kind up to its count. Returns how many that were, and
    /// those entries of which there are fewer now, with how many are gone.
    pub(crate) fn apply(&self, findings: &mut Vec<Finding>) -> (usize, Vec<KnownFinding>) {
        let mut left: BTreeMap<&str, usize> =
            self.known.iter().map(|(fingerprint, known)| (fingerprint.as_str(), known.count)).collect();
        let before = findings.len();
        findings.retain(|finding| match left.get_mut(&*fingerprint(finding)) {
            Some(left) if *left > 0 => {
                *left = left.saturating_sub(1);
                false
            }
            _ => true,
        });
        let gone = |known: &KnownFinding| KnownFinding {
            count: left.get(&*known.fingerprint).copied().unwrap_or_default(),
            ..known.clone()
        };
        let mut stale: Vec<KnownFinding> = self.known.values().map(gone).filter(|known| known.count > 0).collect();
        stale.sort();
        (before.saturating_sub(findings.len()), stale)
    }
}

/// What a finding is known again by.
#[must_use]
pub fn fingerprint(finding: &Finding) -> String {
    let parts = [finding.rule.id(), &finding.path, &handler(finding), &normalized(&finding.statement)];
    // FNV-1a: the same everywhere and in every version. It holds nothing against an attacker, who could write the baseline.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

fn handler(finding: &Finding) -> String {
    format!("{} {}", finding.method, finding.handler).trim().to_owned()
}

/// The statement as every formatter leaves it: without spaces that part no words, with one kind of quotes, and without the
/// commas and semicolons before an end.
fn normalized(statement: &str) -> String {
    let mut kept = String::with_capacity(statement.len());
    let mut spaced = false;
    for c in statement.chars() {
        if c.is_whitespace() {
            spaced = true;
            continue;
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        if spaced && is_word(c) && kept.chars().next_back().is_some_and(is_word) {
            kept.push(' ');
        }
        spaced = false;
        if matches!(c, ')' | ']' | '}') && kept.ends_with(',') {
            kept.pop();
        }
        kept.push(if c == '\'' { '"' } else { c });
    }
    kept.trim_end_matches([';', ',']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rule;

    fn finding(line: u32, statement: &str) -> Finding {
        Finding { path: "a.ts".to_owned(), line, statement: statement.to_owned(), ..Finding::of(Rule::KeyMissing) }
    }

    #[test]
    fn a_known_finding_is_known_on_another_line_and_in_another_format() {
        let known = Baseline::of(&[finding(3, "await db.create({ data: { a: 'x' } });")]);
        let known = Baseline::parse(&known.to_text()).unwrap();
        let mut findings = vec![finding(90, "await db.create({\n  data: { a: \"x\" },\n})")];
        assert_eq!(known.apply(&mut findings), (1, vec![]));
        assert_eq!(findings, []);
    }

    #[test]
    fn a_second_copy_is_new() {
        let known = Baseline::of(&[finding(3, "a()")]);
        let mut findings = vec![finding(3, "a()"), finding(9, "a()")];
        known.apply(&mut findings);
        assert_eq!(findings, [finding(9, "a()")]);
    }

    #[test]
    fn what_is_gone_is_told() {
        let known = Baseline::of(&[finding(3, "a()"), finding(4, "a()"), finding(5, "b()")]);
        let mut findings = vec![finding(5, "b()"), finding(4, "a()")];
        let (hidden, stale) = known.apply(&mut findings);
        assert_eq!((hidden, stale.len(), stale[0].count), (2, 1, 1));
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        assert!(Baseline::parse("{}").is_err());
        let told = Baseline::parse(r#"{ "schema": 2, "findings": [] }"#).unwrap_err().to_string();
        assert!(told.contains("schema 2"), "{told}");
    }
}
