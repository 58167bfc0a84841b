//! The numbers of a report, as Prometheus reads them from a file.

use std::io::{self, Write};

use payproof::provider::ProviderIdentity;
use payproof::reconcile::{DiscrepancyClass, Reconciliation};

use crate::output::since_1970;

pub(crate) const FINDINGS: &str = "payproof_reconcile_findings";
pub(crate) const COMPLETE: &str = "payproof_reconcile_complete";
pub(crate) const FINISHED: &str = "payproof_reconcile_finished_seconds";

/// Labels as those of the library's own metrics, so that reports of several accounts stand beside one another.
pub(crate) fn write(report: &Reconciliation, identity: &ProviderIdentity, out: &mut dyn Write) -> io::Result<()> {
    let [provider, account, mode] = [identity.name(), identity.label(), identity.mode().as_str()].map(escaped);
    let labels = format!("provider=\"{provider}\",account=\"{account}\",mode=\"{mode}\"");
    head(out, FINDINGS, "Discrepancies that the latest run told, and no person has accepted.")?;
    for class in DiscrepancyClass::ALL {
        let told = report.counts().of(class).told;
        writeln!(out, "{FINDINGS}{{{labels},class=\"{}\"}} {told}", class.code())?;
    }
    head(out, COMPLETE, "Whether the latest run found everything out: 1 or 0.")?;
    writeln!(out, "{COMPLETE}{{{labels}}} {}", u8::from(report.is_complete()))?;
    head(out, FINISHED, "When the latest run finished, in seconds since 1970.")?;
    writeln!(out, "{FINISHED}{{{labels}}} {}", since_1970().as_secs())
}

fn head(out: &mut dyn Write, name: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
