//! What the audit says, ready to be written: sorted, without secrets, the same on every machine.

mod sarif;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::baseline::{Baseline, KnownFinding, fingerprint};
use crate::library::{Library, Skip};
use crate::model::{Finding, Judgment, Route, Severity};
use crate::shown;
use crate::walk::FileTree;

/// The version of the report's JSON.
const SCHEMA: u32 = 1;

/// Lines of source before and after the one that a finding points at.
const CONTEXT: u32 = 2;

/// The report. As JSON it is what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// Numbers.
    pub counts: Counts,
    /// Every route.
    pub routes: Vec<RouteLine>,
    /// Every finding that is told, by path, line and rule.
    pub findings: Vec<FindingLine>,
    /// Files that were not looked at, or not to their end.
    pub skipped: Vec<SkippedFile>,
    /// Entries of the baseline of which there are fewer now.
    pub stale: Vec<KnownFinding>,
    /// What a new baseline would hold.
    #[serde(skip)]
    pub known: Baseline,
}

/// Numbers of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files in the audited paths.
    pub files: usize,
    /// Files whose text was read.
    pub read: usize,
    /// Whether there were more files than the audit lists.
    pub cut: bool,
    /// Routes.
    pub routes: usize,
    /// Routes that were judged.
    pub judged: usize,
    /// Paths that have routes with effects, and none for OPTIONS.
    pub without_options: usize,
    /// Findings by severity: `high`, `medium`, `low`.
    pub findings: BTreeMap<&'static str, usize>,
    /// Findings that the baseline knows.
    pub baselined: usize,
    /// Findings that comments allow.
    pub allowed: usize,
}

/// A route of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteLine {
    /// `POST`.
    pub method: String,
    /// `/api/orders/{id}`.
    pub route: String,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The handler's name.
    pub handler: String,
    /// `judged`; `foreign`: a package handles it; `exempt`: one route with many operations.
    pub judgment: &'static str,
}

/// A finding of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingLine {
    /// The rule.
    pub rule: &'static str,
    /// `low`, `medium`, `high`.
    pub severity: &'static str,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// `POST`.
    pub method: String,
    /// `/api/orders/{id}`.
    pub route: String,
    /// The handler's name.
    pub handler: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
    /// The call that was not followed, and may be what is missed.
    pub unfollowed: Option<String>,
    /// How the handler gets there, and what else it stands on.
    pub evidence: Vec<EvidenceLine>,
    /// The source around it.
    pub context: Vec<SourceLine>,
    /// What it is known again by.
    pub fingerprint: String,
    #[serde(skip)]
    level: Level,
}

/// The severity and the rule as they are compared.
type Level = (Severity, usize);

/// A place that a finding stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceLine {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is there.
    pub what: String,
}

/// A line of source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceLine {
    /// Its number, from 1.
    pub line: u32,
    /// What it says, masked and cut.
    pub text: String,
}

/// A file that was not looked at, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// The file.
    pub path: String,
    /// Why.
    pub why: String,
    /// The line of the first piece that was not understood.
    pub line: Option<u32>,
    /// Its column.
    pub column: Option<u32>,
}

/// What the audit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// 0: nothing that is denied.
    Fine,
    /// 1: something that is denied.
    NotFine,
    /// 2: no route was recognized, or the tree is too large.
    CouldNotTell,
}

/// What is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// One finding of this severity or worse.
    pub deny: Option<Severity>,
    /// So many findings of a severity or worse.
    pub warn: Vec<(Severity, usize)>,
}

impl Report {
    pub(crate) fn new(
        tree: &FileTree,
        library: &Library<'_>,
        mut routes: Vec<Route>,
        mut findings: Vec<Finding>,
        allowed: usize,
        baseline: Option<&Baseline>,
    ) -> Self {
        routes.sort_by(|one, other| one.place().cmp(&other.place()));
        let known = Baseline::of(&findings);
        let (baselined, stale) = baseline.map(|baseline| baseline.apply(&mut findings)).unwrap_or_default();
        let mut texts = Texts { tree, read: BTreeMap::new() };
        let findings: Vec<FindingLine> = findings.iter().map(|finding| FindingLine::of(finding, &mut texts)).collect();
        let count = |severity: Severity| findings.iter().filter(|finding| finding.level.0 == severity).count();
        let counts = Counts {
            files: tree.len(),
            read: library.count(),
            cut: tree.is_cut(),
            routes: routes.len(),
            judged: routes.iter().filter(|route| route.judgment == Judgment::Judged).count(),
            without_options: without_options(&routes),
            findings: Severity::ALL.iter().map(|severity| (severity.name(), count(*severity))).collect(),
            baselined,
            allowed,
        };
        let routes = routes.iter().map(RouteLine::of).collect();
        Self { schema: SCHEMA, counts, routes, findings, skipped: skipped(tree, library), stale, known }
    }

    /// Whether what was found is denied. Nothing is clean in which no route was recognized.
    #[must_use]
    pub fn outcome(&self, thresholds: &Thresholds) -> Outcome {
        let at_least = |severity| self.findings.iter().filter(|finding| finding.level.0 >= severity).count();
        let denied = thresholds.deny.is_some_and(|severity| at_least(severity) > 0)
            || thresholds.warn.iter().any(|(severity, most)| at_least(*severity) >= *most);
        match self.not_told() {
            _ if denied => Outcome::NotFine,
            Some(_) => Outcome::CouldNotTell,
            None => Outcome::Fine,
        }
    }

    /// Why the report says too little to call anything clean.
    #[must_use]
    pub fn not_told(&self) -> Option<String> {
        if self.counts.routes == 0 {
            let unknown = self.skipped.iter().find(|file| file.why.starts_with(UNKNOWN));
            let hint = match unknown {
                Some(file) => format!("{} {}", file.path, file.why),
                None => "name the folder that holds the service's routes".to_owned(),
            };
            return Some(format!(
                "no route was recognized among {}; {hint}",
                shown::counted(self.counts.files, "file")
            ));
        }
        if self.counts.judged == 0 {
            let routes = shown::counted(self.counts.routes, "route");
            return Some(format!("{routes} recognized, and none could be judged"));
        }
        let files = || shown::counted(self.counts.files, "file");
        self.counts.cut.then(|| format!("there are more than {}; name a smaller folder", files()))
    }

    /// As JSON, with a line end.
    #[must_use]
    pub fn json(&self) -> String {
        written(self)
    }

    /// As SARIF 2.1.0, with a line end.
    #[must_use]
    pub fn sarif(&self) -> String {
        written(&sarif::log(self))
    }

    /// For people. `paint` colors a severity's name.
    #[must_use]
    pub fn table(&self, paint: &dyn Fn(Severity, &str) -> String) -> String {
        table::write(self, paint)
    }
}

/// How a file's reason begins where its routes are not known.
const UNKNOWN: &str = "declares routes in a way that is not known";

/// Texts and numbers can always be written.
fn written(value: &impl Serialize) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

impl RouteLine {
    fn of(route: &Route) -> Self {
        Self {
            method: shown::plain(&route.method),
            route: shown::plain(&route.path),
            path: shown::plain(&route.file),
            line: route.span.line,
            column: route.span.column,
            handler: shown::line(&route.handler),
            judgment: match route.judgment {
                Judgment::Judged => "judged",
                Judgment::Foreign => "foreign",
                Judgment::Exempt => "exempt",
            },
        }
    }
}

impl FindingLine {
    fn of(finding: &Finding, texts: &mut Texts<'_>) -> Self {
        let sentence = |text: &str| shown::masked(&shown::plain(text));
        let evidence = finding.evidence.iter().map(|evidence| EvidenceLine {
            path: shown::plain(&evidence.path),
            line: evidence.line,
            column: evidence.column,
            what: shown::line(&evidence.what),
        });
        Self {
            rule: finding.rule.id(),
            severity: finding.severity.name(),
            path: shown::plain(&finding.path),
            line: finding.line,
            column: finding.column,
            method: shown::plain(&finding.method),
            route: shown::plain(&finding.route),
            handler: shown::line(&finding.handler),
            what: sentence(&finding.what),
            fix: sentence(&finding.fix),
            unfollowed: finding.unfollowed.as_deref().map(shown::line),
            evidence: evidence.collect(),
            context: texts.around(&finding.path, finding.line),
            fingerprint: fingerprint(finding),
            level: (finding.severity, rule_index(finding)),
        }
    }
}

fn rule_index(finding: &Finding) -> usize {
    crate::model::Rule::ALL.iter().position(|rule| *rule == finding.rule).unwrap_or_default()
}

/// The sources of what is told, each read once more.
struct Texts<'t> {
    tree: &'t FileTree,
    read: BTreeMap<String, String>,
}

impl Texts<'_> {
    fn around(&mut self, path: &str, line: u32) -> Vec<SourceLine> {
        let tree = self.tree;
        let text = self.read.entry(path.to_owned()).or_insert_with(|| tree.read(path).unwrap_or_default());
        let (first, last) = (line.saturating_sub(CONTEXT), line.saturating_add(CONTEXT));
        let lines = (1_u32..).zip(text.lines()).skip_while(|(number, _)| *number < first);
        let lines = lines.take_while(|(number, _)| *number <= last);
        lines.map(|(line, text)| SourceLine { line, text: indented(text) }).collect()
    }
}

/// A line as it is shown, with the spaces before it.
fn indented(text: &str) -> String {
    let indent = text.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { "  " } else { " " });
    let indent: String = indent.take(40).collect();
    let line = shown::line(text);
    if line.is_empty() { line } else { format!("{indent}{line}") }
}

/// Paths with a method that has effects, and without OPTIONS. A count, and no finding: it is for browsers of other origins.
fn without_options(routes: &[Route]) -> usize {
    let with = |is: fn(&str) -> bool| {
        routes.iter().filter(|route| is(&route.method)).map(|route| route.path.as_str()).collect::<BTreeSet<_>>()
    };
    let effects = with(|method| matches!(method, "POST" | "PUT" | "PATCH" | "DELETE"));
    let options = with(|method| matches!(method, "OPTIONS" | "ANY"));
    effects.difference(&options).count()
}

fn skipped(tree: &FileTree, library: &Library<'_>) -> Vec<SkippedFile> {
    let mut found: Vec<SkippedFile> = library
        .skipped()
        .iter()
        .map(|(path, skip)| {
            let (why, place) = match skip {
                Skip::NotRead(why) => (why.to_string(), None),
                Skip::Partly(line, column) => ("not fully read".to_owned(), Some((*line, *column))),
                Skip::Framework(name) => (format!("{UNKNOWN} ({name})"), None),
                Skip::Version => ("is no OpenAPI 3.0 or 3.1".to_owned(), None),
                Skip::Failed => ("the reader failed on it; please report it".to_owned(), None),
            };
            SkippedFile {
                path: shown::plain(path),
                why,
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
            }
        })
        .collect();
    found.extend(tree.unlisted().map(|(path, why)| SkippedFile {
        path: shown::plain(path),
        why: format!("the folder cannot be listed: {why}"),
        line: None,
        column: None,
    }));
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}
