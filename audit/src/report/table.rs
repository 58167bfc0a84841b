//! The report for people.

use std::fmt::Write as _;

use crate::model::Severity;

use super::{FindingLine, Report};

/// Past this many files that were not read, the rest is only counted; `--format json` names all.
const MOST_SKIPPED: usize = 20;

pub(super) fn write(report: &Report, paint: &dyn Fn(Severity, &str) -> String) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    for finding in &report.findings {
        let _ = finding_lines(&mut out, finding, paint);
    }
    for file in report.skipped.iter().take(MOST_SKIPPED) {
        let place = file.line.zip(file.column).map(|(line, column)| format!(" at {line}:{column}")).unwrap_or_default();
        let _ = writeln!(out, "note    {}: {}{place}", file.path, file.why);
    }
    let more = report.skipped.len().saturating_sub(MOST_SKIPPED);
    if more > 0 {
        let _ = writeln!(out, "note    {more} more files were not fully read; --format json names them");
    }
    for stale in &report.stale {
        let _ = writeln!(
            out,
            "note    the baseline's {} in {} ({}) is gone {}; write it anew with --write-baseline",
            stale.rule,
            stale.path,
            stale.handler,
            times(stale.count)
        );
    }
    let _ = summary(&mut out, report);
    out
}

fn finding_lines(
    out: &mut String,
    finding: &FindingLine,
    paint: &dyn Fn(Severity, &str) -> String,
) -> std::fmt::Result {
    let severity = paint(finding.level.0, &format!("{:<7}", finding.severity));
    let route = format!("{} {}", finding.method, finding.route);
    let route = route.trim();
    let separator = if route.is_empty() { "" } else { "  " };
    writeln!(
        out,
        "{severity} {}  {}:{}:{}{separator}{route}",
        finding.rule, finding.path, finding.line, finding.column
    )?;
    writeln!(out, "        {}", finding.what)?;
    if let Some(name) = &finding.unfollowed {
        writeln!(out, "        not followed: {name}")?;
    }
    for evidence in &finding.evidence {
        writeln!(out, "        by {}:{}:{}  {}", evidence.path, evidence.line, evidence.column, evidence.what)?;
    }
    writeln!(out, "        fix: {}\n", finding.fix)
}

fn summary(out: &mut String, report: &Report) -> std::fmt::Result {
    let counts = &report.counts;
    let of = |severity: Severity| counts.findings.get(severity.name()).copied().unwrap_or_default();
    write!(out, "{} high, {} medium, {} low", of(Severity::High), of(Severity::Medium), of(Severity::Low))?;
    if counts.baselined > 0 {
        write!(out, ", {} in the baseline", counts.baselined)?;
    }
    if counts.allowed > 0 {
        write!(out, ", {} allowed", counts.allowed)?;
    }
    let (files, read) = (counts.files, counts.read);
    writeln!(out, "; {} of {} routes judged, {read} of {files} files read", counts.judged, counts.routes)?;
    if let Some(why) = report.not_told() {
        writeln!(out, "could not tell: {why}")?;
    }
    Ok(())
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
