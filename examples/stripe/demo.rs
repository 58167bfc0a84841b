//! The same, without an account: a few payments at the built-in sandbox, and the claims made about them.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use payproof::{Currency, Money, PaymentIntent, Stripe, Validator};

use crate::output::{Outcome, text_of, write_out};

const INTRODUCTION: &str = "\
No arguments: a demonstration at the built-in sandbox, which answers like Stripe. For a real payment, see --help.
";

/// Prints each claim and its outcome. Succeeds unless the sandbox cannot be run: that claims are refused is the point.
pub(crate) async fn run() -> ExitCode {
    match show().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the demonstration could not be run: {error}");
            ExitCode::from(2)
        }
    }
}

async fn show() -> Result<(), Box<dyn Error>> {
    let sandbox = open_sandbox().await?;
    let stripe = Stripe::builder("sk_live_sandbox").base_url(sandbox.url()).build()?;
    let validator = Validator::builder(stripe).build()?;

    let mut text = INTRODUCTION.to_owned();
    for (about, payment, amount) in CLAIMS {
        let intent =
            PaymentIntent::new("store_42", payment, Money::parse(amount, Currency::USD)?)?.with_order("6735")?;
        let outcome = match validator.validate(&intent).await {
            Ok(validation) => Outcome::Told(validation),
            Err(error) => Outcome::CouldNotTell(error),
        };
        write!(text, "\n{about}\n{}", text_of(payment, &outcome))?;
    }
    write_out(&text)?;
    Ok(())
}

/// A title, a payment, and the amount that is claimed for it.
const CLAIMS: [(&str, &str, &str); 4] = [
    (
        "19.99 USD is claimed, and was paid. Stripe is unavailable at first, then resets the connection:",
        "pi_paid",
        "19.99",
    ),
    ("The same payment is shown for a dearer cart. The facts are in memory, so nothing is asked:", "pi_paid", "99.99"),
    ("The shopper has not finished 3-D Secure:", "pi_3ds", "19.99"),
    ("A payment that another store was paid with, and gave back:", "pi_refunded", "19.99"),
];

async fn open_sandbox() -> std::io::Result<Sandbox> {
    // A few milliseconds, so that the times in the table are not all zero.
    let latency = Duration::from_millis(5)..Duration::from_millis(30);
    let sandbox = Sandbox::builder().latency(latency).start().await?;
    sandbox.put(SandboxPayment::paid("pi_paid", 1999, "usd").tenant("store_42").order("6735"));
    sandbox.put(SandboxPayment::requires_action("pi_3ds", 1999, "usd").tenant("store_42").order("6735"));
    sandbox.put(SandboxPayment::paid("pi_refunded", 1999, "usd").tenant("store_7").order("6735").refunded(1999));
    sandbox.script("pi_paid", [Fault::Unavailable, Fault::Reset]);
    Ok(sandbox)
}
