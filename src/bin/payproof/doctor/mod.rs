//! Looks at the provider and the store that the environment names, and says what to do.

mod production;
mod report;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ColorChoice;
use payproof::provider::AttemptOutcome;
use payproof::provider::{Provider as _, provider_fn};
use payproof::store::{Severity, env_choices};
use payproof::{Currency, Money, PaymentIntent, Retry, Stripe, ValidateError, Validator};

use crate::output::{Paint, shown, since_1970};
use crate::settings::{self, SECRET_KEY, StoreSettings, variable};
use crate::status::Status;
use crate::trouble::{Trouble, chain};

use report::{DoctorReport, Level};

/// No account has a payment with this id. That there is none is an answer like any other.
const NO_PAYMENT: &str = "pi_payproof_doctor";

/// Retry-After dates, webhooks and capture deadlines are whole seconds; a clock this far off has no time service.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// A checkout waits for it; past this the connection is worth a look.
const SLOW_PROVIDER: Duration = Duration::from_secs(2);

/// Check the provider and the store that the environment names
///
/// One look-up of a payment that does not exist is sent to the provider, twice. What was asked is named by its address, without
/// credentials. With --production it also says what a machine can see of a deployment: test keys, an address that leads
/// elsewhere, switches that turn checks off, a store in the open. Exit status: 0 fine, 1 something needs attention, 2 could not
/// tell.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object per line: level, subject, text
    #[arg(long)]
    json: bool,
    /// Check what a machine can of a deployment to production
    #[arg(long)]
    production: bool,
    /// When results are colored; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value = "auto")]
    color: ColorChoice,
    #[command(flatten)]
    provider: settings::ProviderArgs,
    #[command(flatten)]
    store: StoreSettings,
}

pub(crate) async fn run(args: DoctorArgs) -> Result<Status, Trouble> {
    let mut report = DoctorReport { paint: Paint::new(args.color), is_json: args.json, worst: Status::Fine };
    provider(&args, &mut report).await?;
    store(&args, &mut report).await?;
    if args.production {
        production::check(&args, &mut report)?;
    }
    Ok(report.worst)
}

async fn provider(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    let key = variable(SECRET_KEY)?;
    let stripe = match (key, args.provider.stripe()) {
        (None, _) => {
            let text = format!("{SECRET_KEY} is not set, so the provider was not asked; set it to a key sk_… or rk_…");
            return report.say(Level::Unknown, "provider", &text);
        }
        (Some(_), Err(trouble)) => return report.say(Level::Error, "provider", &trouble.to_string()),
        (Some(key), Ok(stripe)) => {
            report.say(Level::Fine, "provider", &format!("{SECRET_KEY} is {}", masked(&key)))?;
            stripe
        }
    };
    let address = stripe.base_url();
    let stated_at = Arc::new(Mutex::new(None));
    let validator = args.provider.calls(watched(stripe, Arc::clone(&stated_at))).retry(Retry::none()).build();
    let validator = match validator {
        Ok(validator) => validator,
        Err(error) => return report.say(Level::Error, "provider", &Trouble::from(error).to_string()),
    };
    // The first opens the connection, so that the second shows what a validation waits for.
    let opened = look_up(&validator).await;
    let answered = if opened.is_ok() { look_up(&validator).await } else { opened };
    match answered {
        Err(error) => {
            let level = if error.is_rate_limited() { Level::Warning } else { Level::Error };
            return report.say(level, "provider", &format!("{address}: {}", chain(&error)));
        }
        Ok(latency) if latency > SLOW_PROVIDER => {
            let text = format!("{address} answers in {}; look at the network on the way", shown(latency));
            report.say(Level::Warning, "provider", &text)?;
        }
        Ok(latency) => {
            let text = format!("{address} accepts the key and answers in {}", shown(latency));
            report.say(Level::Fine, "provider", &text)?;
        }
    }
    let stated_at = *stated_at.lock().unwrap_or_else(PoisonError::into_inner);
    clock(stated_at, report)
}

fn clock(stated_at: Option<u64>, report: &mut DoctorReport) -> Result<(), Trouble> {
    let now = since_1970();
    let Some(stated_at) = stated_at else {
        let text = "the provider's answers have no date; compare this machine's clock by hand";
        return report.say(Level::Note, "clock", text);
    };
    // A date is cut to whole seconds, so the middle of its second is the best guess.
    let apart = now.abs_diff(Duration::from_secs(stated_at).saturating_add(Duration::from_millis(500)));
    if apart <= CLOCK_TOLERANCE {
        return report.say(Level::Fine, "clock", "agrees with the provider's");
    }
    let text = format!("differs from the provider's by {}; turn this machine's time service on", shown(apart));
    report.say(Level::Warning, "clock", &text)
}

/// The adapter, with the provider's clock written down at each answer.
fn watched(stripe: Stripe, stated_at: Arc<Mutex<Option<u64>>>) -> payproof::ValidatorBuilder {
    let stripe = Arc::new(stripe);
    Validator::builder(provider_fn(stripe.identity().clone(), move |payment, call| {
        let (stripe, stated_at) = (Arc::clone(&stripe), Arc::clone(&stated_at));
        async move {
            let facts = stripe.look_up(&payment, &call).await?;
            let as_of = serde_json::to_value(&facts).ok().and_then(|facts| facts.get("as_of")?.as_u64());
            *stated_at.lock().unwrap_or_else(PoisonError::into_inner) = as_of;
            Ok(facts)
        }
    }))
}

/// How long one answer took.
async fn look_up(validator: &Validator) -> Result<Duration, ValidateError> {
    let money = Money::parse("1", Currency::USD)?;
    let intent = PaymentIntent::new("doctor", NO_PAYMENT, money)?;
    let validation = validator.validate(intent).max_age(Duration::ZERO).await?;
    let took = validation.attempts().iter().filter(|attempt| *attempt.outcome() == AttemptOutcome::Facts);
    Ok(took.map(payproof::provider::Attempt::duration).sum())
}

/// What kind of key it is, and nothing of the key itself.
fn masked(key: &str) -> String {
    let kinds = ["sk_live_", "sk_test_", "rk_live_", "rk_test_"];
    match kinds.iter().find(|kind| key.starts_with(**kind)) {
        Some(kind) => format!("{kind}…"),
        None => "set".to_owned(),
    }
}

async fn store(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    let store = match args.store.open() {
        Ok(Some(store)) => store,
        Ok(None) => {
            let text = format!("the environment names none, so every process is on its own; set {}", env_choices());
            return report.say(Level::Warning, "store", &text);
        }
        Err(trouble) => return report.say(Level::Error, "store", &trouble.to_string()),
    };
    report.say(Level::Fine, "store", &format!("{store}; asked at {}", store.address()))?;
    // The store itself is looked at, and no record in it but the canary, so whose they are does not matter here.
    let validator = args.store.attach(args.provider.without_provider()?, store)?.build()?;
    let found = validator.check_store().await;
    if let Some(seen) = &found.store {
        let version = seen.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let text = format!("{}{version} answers in {}", seen.server, shown(seen.latency));
        report.say(Level::Fine, "store", &text)?;
    }
    for finding in &found.findings {
        let level = match finding.severity() {
            Severity::Note => Level::Note,
            Severity::Warning => Level::Warning,
            _ => Level::Error,
        };
        report.say(level, "store", &format!("{finding} ({})", finding.code()))?;
    }
    if found.is_fit() && args.provider.names_an_account() { indeterminate(&validator, report).await } else { Ok(()) }
}

/// What the account's lists in the store say; what a process keeps in its memory, its own health tells.
async fn indeterminate(validator: &Validator, report: &mut DoctorReport) -> Result<(), Trouble> {
    let (operations, requests) = (validator.guard().indeterminate().await?, validator.indeterminate_requests().await?);
    let oldest = operations.oldest().max(requests.oldest());
    let Some(oldest) = oldest else { return Ok(()) };
    let is_more = operations.not_listed() > 0 || requests.not_listed() > 0;
    let text = format!(
        "{} operation(s) and {} request(s){} are indeterminate, the oldest for {}; `payproof indeterminate` lists them",
        operations.len(),
        requests.len(),
        if is_more { ", and more that found no room on the list," } else { "" },
        shown(oldest),
    );
    report.say(Level::Warning, "effects", &text)?;
    let key_left = operations.iter().filter_map(payproof::guard::IndeterminateOperation::key_left).min();
    let Some(soonest) = key_left else { return Ok(()) };
    let text = format!("the provider's key of one of them ends in {}; run it again before", shown(soonest));
    report.say(Level::Warning, "effects", &text)
}
