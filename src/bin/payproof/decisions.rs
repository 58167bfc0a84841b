//! What people decided by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use payproof::SignedDecision;
use serde_json::json;

use crate::output::{plain, print, table};
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Show who decided what by hand: `resolve` and `release`, here or in a service
///
/// The latest come first. Each is kept in the store for 400 days. One whose process crashed at that moment is shown, although it
/// may not have been made. Exit status: 0 shown, also where there is none, 2 could not tell.
#[derive(Debug, clap::Args)]
pub(crate) struct DecisionsArgs {
    /// How far back, in days of UTC, today among them
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    /// Only those about this reference or payment
    #[arg(long, value_name = "SUBJECT", allow_hyphen_values = true)]
    about: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: DecisionsArgs) -> Result<Status, Trouble> {
    let mut decisions = args.records.validator()?.decisions(args.days).await?;
    decisions.retain(|decision| args.about.as_deref().is_none_or(|about| decision.subject() == about));
    print(&if args.json { as_json(&decisions) } else { as_text(&decisions) })?;
    Ok(Status::Fine)
}

fn as_json(decisions: &[SignedDecision]) -> String {
    let line = |decision: &SignedDecision| {
        let line = json!({
            "at": seconds(decision.at()),
            "who": decision.who(),
            "on": decision.on().as_str(),
            "subject": decision.subject(),
            "about": decision.about(),
            "decided": decision.decided().as_str(),
        });
        format!("{line}\n")
    };
    decisions.iter().map(line).collect()
}

fn as_text(decisions: &[SignedDecision]) -> String {
    if decisions.is_empty() {
        return "nothing was decided by hand\n".to_owned();
    }
    let mut table = table(["at", "who", "decided", "on", "subject", "about"]);
    for decision in decisions {
        let texts =
            [decision.who(), decision.decided().as_str(), decision.on().as_str(), decision.subject(), decision.about()];
        let [who, decided, on, subject, about] = texts.map(plain);
        table.add_row([httpdate::fmt_http_date(decision.at()), who, decided, on, subject, about]);
    }
    format!("{table}\n")
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}
