//! What the store holds about a payment.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use payproof::redeem::Redemption;
use payproof::{Currency, PaymentId, StoredFacts, Units, Validator};
use serde_json::{Map, Value, json};

use crate::output::{millis, owner, plain, print, shown, since_1970};
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Show what the store holds about a payment; the provider is not asked
///
/// Amounts are shown in major units and times as dates; with --json as the provider states them, in minor units and in seconds
/// since 1970.
///
/// Exit status: 0 something is kept, 1 nothing is, 2 could not tell.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The payment's id: pi_…
    payment: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: InspectArgs) -> Result<Status, Trouble> {
    let payment = PaymentId::parse(&args.payment)?;
    let validator = args.records.validator()?;
    let kept = validator.stored_facts(&payment).await?;
    let redemption = redemption(&validator, &payment).await?;
    let is_nothing = kept.is_none() && redemption.is_none();
    let text = if args.json {
        as_json(&payment, kept, redemption)
    } else {
        as_text(&payment, kept.as_ref(), redemption.as_ref(), &args.records.units()?)
    };
    print(&text)?;
    Ok(if is_nothing { Status::NotFine } else { Status::Fine })
}

/// A store that other processes do not see holds none.
async fn redemption(validator: &Validator, payment: &PaymentId) -> Result<Option<Redemption>, Trouble> {
    match validator.redemption(payment).await {
        Err(payproof::redeem::RedeemError::StoreNotShared) => Ok(None),
        redemption => Ok(redemption?),
    }
}

/// The facts by name, as far as they were stated. Who paid is not shown, and metadata may hold anything.
fn facts(kept: &StoredFacts) -> Map<String, Value> {
    let facts = kept.facts().and_then(|facts| serde_json::to_value(facts).ok());
    let Some(Value::Object(mut facts)) = facts else { return Map::new() };
    for private in ["id", "customer"] {
        facts.remove(private);
    }
    facts.retain(|_, value| !value.is_null());
    facts
}

fn as_json(payment: &PaymentId, kept: Option<StoredFacts>, redemption: Option<Redemption>) -> String {
    let kept = kept.map(|kept| {
        json!({
            "facts": facts(&kept),
            "age_ms": millis(kept.age()),
            "kept_for_ms": millis(kept.kept_for()),
            "is_being_asked": kept.is_being_asked(),
            "failure": kept.failure(),
        })
    });
    let redemption = redemption.map(|redemption| {
        let receipt = redemption.receipt();
        json!({
            "tenant": receipt.tenant(),
            "order": receipt.order(),
            "part": receipt.part(),
            "age_ms": millis(redemption.age()),
        })
    });
    format!("{}\n", json!({ "payment": payment, "kept": kept, "redemption": redemption }))
}

fn as_text(payment: &PaymentId, kept: Option<&StoredFacts>, redemption: Option<&Redemption>, units: &Units) -> String {
    let mut text = format!("Payment:  {payment}\n");
    // Writing to a string does not fail.
    match kept {
        None => text.push_str("Facts:    none are kept; the next validation asks the provider\n"),
        Some(kept) => {
            let (age, left) = (shown(kept.age()), shown(kept.kept_for()));
            let _ = writeln!(text, "Facts:    {age} old, kept for {left} more");
            let facts = facts(kept);
            for (name, value) in &facts {
                let _ = writeln!(text, "  {name}: {}", plain(&in_words(name, value, &facts, units)));
            }
            if kept.is_being_asked() {
                text.push_str("Now:      a process is asking the provider\n");
            }
            if let Some(code) = kept.failure() {
                let _ = writeln!(text, "Failed:   the last look-up, with {}", plain(code));
            }
        }
    }
    match redemption {
        None => text.push_str("Redeemed: no\n"),
        Some(redemption) => {
            let owner = plain(&owner(redemption.receipt()));
            let _ = writeln!(text, "Redeemed: for {owner}, {} ago", shown(redemption.age()));
        }
    }
    text
}

/// The facts that are times, in seconds since 1970.
const TIMES: [&str; 5] = ["as_of", "capture_before", "created", "paid_at", "waits_until"];

/// The facts that are money, in the provider's minor units.
const MONEY: [&str; 9] = [
    "amount",
    "amount_capturable",
    "amount_received",
    "amount_refunded",
    "refunds_failed",
    "refunds_pending",
    "remaining",
    "surcharge",
    "tip",
];

/// A fact as people read it: money in major units with its currency, times as dates.
fn in_words(name: &str, value: &Value, facts: &Map<String, Value>, units: &Units) -> String {
    let number = value.as_u64();
    let currency = facts.get("currency").and_then(Value::as_str).and_then(|code| Currency::parse(code).ok());
    match (number, currency) {
        (Some(minor), Some(currency)) if MONEY.contains(&name) => units.to_money(minor, currency).to_string(),
        (Some(seconds), _) if TIMES.contains(&name) => date(seconds),
        _ => shown_value(value),
    }
}

/// `Fri, 27 Nov 2026 03:15:09 GMT`, and how far from now that is.
fn date(seconds: u64) -> String {
    let since = Duration::from_secs(seconds);
    // Later years than these have five digits, and stand in no record but by mistake.
    let Some(at) = UNIX_EPOCH.checked_add(since).filter(|_| seconds < 253_402_300_800) else {
        return seconds.to_string();
    };
    let now = since_1970();
    let apart = shown(now.abs_diff(since));
    let words = if now < since { format!("in {apart}") } else { format!("{apart} ago") };
    format!("{}, {words}", httpdate::fmt_http_date(at))
}

/// Any other value. Pairs, such as metadata, one after the other.
fn shown_value(value: &Value) -> String {
    match value {
        // A blank at the end, or a character that leaves no mark, is often what a mismatch comes from.
        Value::String(text) if text.trim() != text || !text.chars().flat_map(char::escape_debug).eq(text.chars()) => {
            format!("{text:?}")
        }
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(shown_value).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
