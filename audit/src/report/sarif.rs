//! The report as SARIF 2.1.0, which code hosts read.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Rule, Severity};

use super::{FindingLine, Report, SkippedFile};

const VERSION: &str = "2.1.0";
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// From where the addresses of files are told.
const BASE: &str = "%SRCROOT%";

#[derive(Serialize)]
pub(super) struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    short_description: Text,
    full_description: Text,
    help: Text,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    /// GitHub sorts by it; the standard has no severity of this kind.
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
    tags: [&'static str; 1],
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
    locations: [Location; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow>,
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow {
    thread_flows: [ThreadFlow; 1],
}

#[derive(Serialize)]
struct ThreadFlow {
    locations: Vec<FlowLocation>,
}

#[derive(Serialize)]
struct FlowLocation {
    location: Location,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Text>,
}

pub(super) fn log(report: &Report) -> Log {
    let driver = Driver {
        name: "payproof-audit",
        semantic_version: env!("CARGO_PKG_VERSION"),
        rules: Rule::ALL.iter().map(|rule| descriptor(*rule)).collect(),
    };
    let invocation = Invocation {
        execution_successful: report.not_told().is_none(),
        tool_execution_notifications: report.skipped.iter().map(notification).collect(),
    };
    let results = report.findings.iter().map(result).collect();
    let run = Run { tool: Tool { driver }, invocations: [invocation], column_kind: "unicodeCodePoints", results };
    Log { schema: SCHEMA, version: VERSION, runs: [run] }
}

fn descriptor(rule: Rule) -> Descriptor {
    let text = |text: &str| Text { text: text.to_owned() };
    let severity = rule.severity();
    Descriptor {
        id: rule.id(),
        short_description: text(rule.summary()),
        full_description: text(rule.protects()),
        help: text(rule.fix()),
        default_configuration: Configuration { level: level(severity) },
        properties: Properties {
            security_severity: match severity {
                Severity::High => "8.0",
                Severity::Medium => "5.0",
                Severity::Low => "2.0",
            },
            tags: ["security"],
        },
    }
}

fn notification(file: &SkippedFile) -> Notification {
    let region = file.line.zip(file.column).map(|(line, column)| region(line, column, None));
    let location = Location {
        physical_location: PhysicalLocation { artifact_location: artifact(&file.path), region },
        message: None,
    };
    Notification { level: "note", message: Text { text: file.why.clone() }, locations: [location] }
}

fn result(finding: &FindingLine) -> SarifResult {
    let (severity, rule_index) = finding.level;
    let route = format!("{} {}", finding.method, finding.route);
    let place = if route.trim().is_empty() { String::new() } else { format!("{}: ", route.trim()) };
    let not_followed = finding.unfollowed.as_ref().map(|name| format!(" Not followed: {name}.")).unwrap_or_default();
    let snippet = finding.context.iter().find(|line| line.line == finding.line).map(|line| line.text.trim().to_owned());
    let own = location(&finding.path, region(finding.line, finding.column, snippet), None);
    let flow: Vec<FlowLocation> = finding
        .evidence
        .iter()
        .map(|evidence| FlowLocation {
            location: location(
                &evidence.path,
                region(evidence.line, evidence.column, None),
                Some(evidence.what.clone()),
            ),
        })
        .collect();
    SarifResult {
        rule_id: finding.rule,
        rule_index,
        level: level(severity),
        message: Text { text: format!("{place}{}.{not_followed} {}", finding.what.trim_end_matches('.'), finding.fix) },
        locations: [own],
        code_flows: if flow.is_empty() {
            Vec::new()
        } else {
            vec![CodeFlow { thread_flows: [ThreadFlow { locations: flow }] }]
        },
        partial_fingerprints: [("payproofAudit/v1", finding.fingerprint.clone())].into(),
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

fn location(path: &str, region: Region, message: Option<String>) -> Location {
    let message = message.map(|text| Text { text });
    Location {
        physical_location: PhysicalLocation { artifact_location: artifact(path), region: Some(region) },
        message,
    }
}

fn region(line: u32, column: u32, snippet: Option<String>) -> Region {
    let snippet = snippet.filter(|text| !text.is_empty()).map(|text| Text { text });
    Region { start_line: line.max(1), start_column: column.max(1), snippet }
}

fn artifact(path: &str) -> ArtifactLocation {
    ArtifactLocation { uri: address(path), uri_base_id: BASE }
}

/// A file's name as an address has it: brackets and spaces as `%5B`, which Next.js' folders are full of.
fn address(path: &str) -> String {
    use std::fmt::Write as _;

    let mut address = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~@!$&'()*+,;=".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_addresses() {
        assert_eq!(address("app/(shop)/[id]/route.ts"), "app/(shop)/%5Bid%5D/route.ts");
        assert_eq!(address("a b/ü#.ts"), "a%20b/%C3%BC%23.ts");
    }
}
