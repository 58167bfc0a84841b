//! Findings that the source itself allows: `payproof-allow: RULE: reason`, in a comment on the line above.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Comment, Finding, Rule, Severity};
use crate::shown;

/// What such a comment holds.
pub(crate) const MARK: &str = "payproof-allow";

/// An allow that says which rule and why.
#[derive(Debug)]
struct Allow {
    path: String,
    line: u32,
    rule: Rule,
    /// The line that it stands above.
    target: u32,
    used: bool,
}

/// Takes the findings that are allowed out of the list, says how many, and adds those that allows themselves are: without a
/// reason, of no known rule, or of use to nothing.
pub(crate) fn apply(
    findings: &mut Vec<Finding>,
    comments: &BTreeMap<String, Vec<Comment>>,
    off: &BTreeSet<Rule>,
) -> usize {
    let mut allows = Vec::new();
    let mut complaints = Vec::new();
    for (path, comments) in comments {
        // An allow may stand above another one, and both above the line that they mean.
        let taken: BTreeMap<u32, u32> = comments.iter().map(|comment| (comment.line, end(comment))).collect();
        for comment in comments {
            let mut target = end(comment).saturating_add(1);
            while let Some(end) = taken.get(&target) {
                target = end.saturating_add(1);
            }
            match parse(&comment.text) {
                Some(Ok(rule)) => {
                    allows.push(Allow { path: path.clone(), line: comment.line, rule, target, used: false });
                }
                Some(Err(what)) => complaints.push(complaint(path, comment.line, &comment.text, what)),
                None => {}
            }
        }
    }
    let before = findings.len();
    findings.retain(|finding| {
        let mut allowed = false;
        for allow in &mut allows {
            if allow.path == finding.path && allow.target == finding.line && allow.rule == finding.rule {
                (allow.used, allowed) = (true, true);
            }
        }
        !allowed
    });
    let allowed = before.saturating_sub(findings.len());
    for allow in allows.iter().filter(|allow| !allow.used && !off.contains(&allow.rule)) {
        let what = format!("the allow of `{}` stands above nothing that the rule finds", allow.rule);
        complaints.push(complaint(&allow.path, allow.line, allow.rule.id(), what));
    }
    findings.extend(complaints);
    allowed
}

/// The last line of a comment.
fn end(comment: &Comment) -> u32 {
    let breaks = comment.text.bytes().filter(|byte| *byte == b'\n').count();
    comment.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX))
}

/// The rule that a comment allows, or what is wrong with it.
fn parse(text: &str) -> Option<Result<Rule, String>> {
    let (_, rest) = text.split_once(MARK)?;
    let rest = rest.trim_end().trim_end_matches("*/").trim_end();
    let mut parts = rest.trim_start().trim_start_matches(':').splitn(2, ':').map(str::trim);
    let (name, reason) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some(rule) = Rule::named(name) else {
        return Some(Err(format!("the allow names the rule `{}`, which does not exist", shown::line(name))));
    };
    let has_reason = reason.chars().any(char::is_alphanumeric);
    Some(if has_reason { Ok(rule) } else { Err(format!("the allow of `{rule}` says no reason")) })
}

fn complaint(path: &str, line: u32, statement: &str, what: String) -> Finding {
    Finding {
        severity: Severity::Low,
        path: path.to_owned(),
        line,
        column: 1,
        what,
        statement: statement.to_owned(),
        ..Finding::of(Rule::Allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, rule: Rule) -> Finding {
        Finding { path: "a.ts".to_owned(), line, ..Finding::of(rule) }
    }

    fn applied(findings: Vec<Finding>, comments: &[(u32, &str)]) -> (usize, Vec<Finding>) {
        let comments = comments.iter().map(|(line, text)| Comment { line: *line, text: (*text).to_owned() }).collect();
        let mut findings = findings;
        let allowed = apply(&mut findings, &[("a.ts".to_owned(), comments)].into(), &BTreeSet::new());
        (allowed, findings)
    }

    #[test]
    fn an_allow_with_a_reason_allows_its_rule_on_the_next_line() {
        let comments = [(3, "// payproof-allow: key-missing: repeats come to the same end")];
        let (allowed, left) =
            applied(vec![at(4, Rule::KeyMissing), at(4, Rule::SuccessFlag), at(5, Rule::KeyMissing)], &comments);
        assert_eq!((allowed, left.len()), (1, 2));
    }

    #[test]
    fn allows_may_stand_above_one_another() {
        let comments = [(3, "// payproof-allow: key-missing: a"), (4, "/* payproof-allow: success-flag: b\n */")];
        let (allowed, left) = applied(vec![at(6, Rule::KeyMissing), at(6, Rule::SuccessFlag)], &comments);
        assert_eq!((allowed, left), (2, vec![]));
    }

    #[test]
    fn an_allow_that_is_wrong_allows_nothing_and_is_told() {
        for (text, told) in [
            ("// payproof-allow: key-missing", "says no reason"),
            ("// payproof-allow: key-missing: --", "says no reason"),
            ("// payproof-allow: keys: because", "does not exist"),
            ("// payproof-allow: success-flag: because", "stands above nothing"),
        ] {
            let (allowed, left) = applied(vec![at(4, Rule::KeyMissing)], &[(3, text)]);
            assert_eq!(allowed, 0, "{text}");
            assert_eq!(left.len(), 2, "{text}");
            assert!(left[1].rule == Rule::Allow && left[1].what.contains(told), "{text}: {}", left[1].what);
        }
    }
}
