//! What a tree's own `payproof-audit.json` says: its helpers by name, and which rules matter how much.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::{Finding, Names, Rule, Severity};

/// The file that is looked for in the audited tree.
pub const FILE: &str = "payproof-audit.json";

/// What a configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Helpers by name, and what is asked of answers.
    pub names: Names,
    /// How bad a rule's worst findings are. Those that are known to be less bad stay so.
    pub severity: BTreeMap<Rule, Severity>,
    /// Rules that are not told.
    pub off: BTreeSet<Rule>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is no JSON of the known fields.
    #[error("{path}: {why}; see docs/auditing.md for its fields")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        why: String,
    },
    /// It names a rule that there is not.
    #[error("{path}: `{field}` names the rule `{name}`, which does not exist; --explain lists them")]
    UnknownRule {
        /// The file.
        path: String,
        /// The field.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// It names a severity that there is not.
    #[error("{path}: `severity` of `{rule}` must be one of: low, medium, high")]
    UnknownSeverity {
        /// The file.
        path: String,
        /// The rule.
        rule: Rule,
    },
}

/// The file's fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    session: Vec<String>,
    tenant: Vec<String>,
    key: Vec<String>,
    envelope: Option<bool>,
    delete: bool,
    severity: BTreeMap<String, String>,
    off: Vec<String>,
}

impl Settings {
    /// Reads a configuration.
    ///
    /// # Errors
    /// If it is no JSON, has an unknown field, or names a rule or a severity that there is not.
    pub fn parse(path: &str, text: &str) -> Result<Self, SettingsError> {
        let fields: Fields = serde_json::from_str(text)
            .map_err(|error| SettingsError::Malformed { path: path.to_owned(), why: error.to_string() })?;
        let rule = |field: &'static str, name: &str| {
            Rule::named(name).ok_or_else(|| SettingsError::UnknownRule {
                path: path.to_owned(),
                field,
                name: crate::shown::line(name),
            })
        };
        let mut severity = BTreeMap::new();
        for (name, said) in &fields.severity {
            let rule = rule("severity", name)?;
            let said =
                Severity::named(said).ok_or_else(|| SettingsError::UnknownSeverity { path: path.to_owned(), rule })?;
            severity.insert(rule, said);
        }
        Ok(Self {
            severity,
            off: fields.off.iter().map(|name| rule("off", name)).collect::<Result<_, _>>()?,
            names: Names {
                session: fields.session,
                tenant: fields.tenant,
                key: fields.key,
                envelope: fields.envelope,
                delete: fields.delete,
            },
        })
    }

    /// The findings as these settings see them.
    pub(crate) fn apply(&self, findings: &mut Vec<Finding>) {
        findings.retain(|finding| !self.off.contains(&finding.rule));
        for finding in findings {
            if let Some(said) = self.severity.get(&finding.rule) {
                let is_worst = finding.severity == finding.rule.severity();
                finding.severity = if is_worst { *said } else { finding.severity.min(*said) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read() {
        let text = r#"{ "session": ["requireShopper"], "severity": { "envelope": "high" }, "off": ["success-flag"], "delete": true }"#;
        let settings = Settings::parse(FILE, text).unwrap();
        assert_eq!(settings.names.session, ["requireShopper"]);
        assert!(settings.names.delete);
        assert_eq!(settings.severity[&Rule::Envelope], Severity::High);
        assert!(settings.off.contains(&Rule::SuccessFlag));
    }

    #[test]
    fn what_is_unknown_is_told_with_its_place() {
        let told = |text| Settings::parse(FILE, text).unwrap_err().to_string();
        let unknown = told("{\n  \"sessions\": []\n}");
        assert!(
            unknown.contains("payproof-audit.json: unknown field `sessions`") && unknown.contains("line 2"),
            "{unknown}"
        );
        assert!(told(r#"{ "off": ["keys-missing"] }"#).contains("`off` names the rule `keys-missing`"));
        assert!(told(r#"{ "severity": { "envelope": "bad" } }"#).contains("`severity` of `envelope` must be one of"));
    }

    #[test]
    fn a_severity_replaces_the_worst_and_lowers_the_rest() {
        let of = |severity| Finding { severity, ..Finding::of(Rule::WebhookRepeats) };
        let raise = Settings { severity: [(Rule::WebhookRepeats, Severity::High)].into(), ..Settings::default() };
        let mut findings = vec![of(Severity::Medium), of(Severity::Low)];
        raise.apply(&mut findings);
        let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::High, Severity::Low]);
    }
}
