//! Validates one real payment intent at Stripe, and shows the verdict, the findings and the attempts.
//!
//! ```sh
//! cargo run --example stripe                       # a demonstration at the built-in sandbox; no account
//! STRIPE_SECRET_KEY=… cargo run --example stripe -- pi_… 19.99 usd --tenant store_42 --order 6735
//! STRIPE_SECRET_KEY=… cargo run --example stripe -- pi_… 19.99 usd --tenant store_42 --test-mode --json
//! ```
//!
//! A restricted key needs read access to payment intents and charges. The key is never shown.
//!
//! | variable | |
//! |---|---|
//! | `STRIPE_SECRET_KEY` | a secret key (`sk_…`) or a restricted key (`rk_…`) |
//! | `STRIPE_API_BASE` | where Stripe is; `https://api.stripe.com` unless set |
//!
//! Exit status: 0 valid, 1 not valid, 2 could not tell, which includes a malformed claim and a bad setting.

mod demo;
mod output;

use std::env::{self, VarError};
use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use payproof::{BuildError, Currency, InvalidIntent, Mode, Money, PaymentIntent, Stripe, Validator};

use output::Outcome;

/// Asks Stripe whether a payment intent is real, ours, and paid in full.
#[derive(Debug, Parser)]
#[command(
    after_help = "The key is read from STRIPE_SECRET_KEY, and the address from STRIPE_API_BASE if that is set.\n\
    Exit status: 0 valid, 1 not valid, 2 could not tell.\n\
    Without any arguments: a demonstration at the built-in sandbox."
)]
struct Args {
    /// The payment intent's id: pi_…
    intent: String,
    /// The amount that was to be paid, in major units: 19.99
    #[arg(allow_negative_numbers = true)]
    amount: String,
    /// The currency's ISO 4217 code: usd
    currency: String,
    /// The tenant it must belong to, by the metadata key `store_id`
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The order it must be for, by the metadata key `order_id`; needed if the payment names one
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// The customer who must have paid: cus_…
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// The account serves one tenant only, so the payment need not name it
    #[arg(long)]
    single_tenant: bool,
    /// Expect a test payment, with a test key
    #[arg(long)]
    test_mode: bool,
    /// The connected account to ask: acct_…
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A single call at a time needs no more than one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if env::args_os().len() <= 1 {
        return demo::run().await;
    }
    let args = Args::parse();
    let outcome = validate(&args).await;
    output::print(&args.intent, &outcome, args.json)
}

/// Everything a service does for a payment, in order. Nothing is sent before the claim and the settings are sound.
async fn validate(args: &Args) -> Outcome {
    let intent = match claim(args) {
        Ok(intent) => intent,
        Err(invalid) => return Outcome::Refused { code: "invalid_intent", error: invalid.into() },
    };
    let validator = match validator(args) {
        Ok(validator) => validator,
        Err(error) => return Outcome::Refused { code: "configuration", error },
    };
    match validator.validate(&intent).await {
        Ok(validation) => Outcome::Told(validation),
        Err(error) => Outcome::CouldNotTell(error),
    }
}

/// What is claimed. Each part is parsed once, here, and is sound from then on.
fn claim(args: &Args) -> Result<PaymentIntent, InvalidIntent> {
    let money = Money::parse(&args.amount, Currency::parse(&args.currency)?)?;
    let mut intent = PaymentIntent::new(&args.tenant, &args.intent, money)?;
    if let Some(order) = &args.order {
        intent = intent.with_order(order)?;
    }
    if let Some(customer) = &args.customer {
        intent = intent.with_customer(customer)?;
    }
    Ok(intent)
}

/// A service does this once, at its start.
fn validator(args: &Args) -> Result<Validator, Box<dyn Error>> {
    let mut stripe = Stripe::builder(secret_key()?);
    if let Some(url) = variable("STRIPE_API_BASE")? {
        stripe = stripe.base_url(url);
    }
    if let Some(account) = &args.account {
        stripe = stripe.account(account);
    }
    let mode = if args.test_mode { Mode::Test } else { Mode::Live };
    let mut validator = Validator::builder(stripe.build()?).mode(mode);
    if args.single_tenant {
        validator = validator.single_tenant();
    }
    validator.build().map_err(in_words_of_this_program)
}

fn secret_key() -> Result<String, String> {
    variable("STRIPE_SECRET_KEY")?.ok_or_else(|| {
        "STRIPE_SECRET_KEY is not set; set it to a secret key (sk_…) or to a restricted key (rk_…) that reads payment \
         intents and charges"
            .to_owned()
    })
}

/// An empty variable counts as unset. One that is not text is named, and not repeated.
fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not valid UTF-8; set it again")),
    }
}

/// The error names the setter; the user of this program has a flag instead.
fn in_words_of_this_program(error: BuildError) -> Box<dyn Error> {
    match error {
        BuildError::ModeMismatch { provider_mode: Mode::Test, .. } => format!("{error} (here: --test-mode)").into(),
        BuildError::ModeMismatch { .. } => format!("{error} (here: leave out --test-mode)").into(),
        error => error.into(),
    }
}
