//! Validates one payment, or all that standard input lists.

mod batch;
mod claim;
mod format;
mod outage;
mod progress;
mod row;
mod seen;
mod tally;

use std::io::IsTerminal;
use std::time::Duration;

use payproof::{Breaker, Validator};
use tokio::time::Instant;

use crate::lines::{LineFields, LineValues, LinesArgs};
use crate::output::complain;
use crate::settings::{self, OptionalStore};
use crate::status::Status;
use crate::trouble::Trouble;

use claim::{CLAIM, Defaults};
use format::Format;
use row::{LinePlace, Row, RowOutcome};

/// More keys than a file has lines whose results are read; about 150 MB when full.
const MOST_KEYS: usize = 1_000_000;

/// Validate one payment, or many from standard input
///
/// One: payproof validate pi_… 19.99 usd --tenant store_42 --order 6735
///
/// Many: payproof validate < payments.csv, where each line is a payment. CSV starts with a header row; JSON lines are objects.
/// Their fields are payment, amount, currency, tenant, order, customer and key; the first three are required, and the tenant
/// unless --tenant says it for all. Columns of other names are told with --map, and exports of Stripe and Shopify with --preset.
/// An amount is a decimal in major units, in JSON a string or a whole number; with a comma in it, --decimal must say whether that
/// stands before the decimals. Results come in the order of the input; a line that cannot be used is reported with its number,
/// and the others go on. Every line is accounted for at the end. A payment that an earlier line names is told with that line.
/// CSV is read strictly: a quote that is not closed, or is followed by text, makes the line that it stands on unusable, and no
/// other.
///
/// The provider is asked about each payment, once per run. With --max-age older answers are accepted, and are marked NOT ASKED NOW.
///
/// While the provider's circuit breaker is open the run waits, for as long as --deadline, before it gives lines up.
///
/// Exit status: 0 all valid, 1 some are not, 2 some could not be told, which includes unusable lines, an empty input, and
/// results that were not read to the end.
#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    /// The payment's id: pi_…; without it, payments are read from standard input
    #[arg(requires_all = ["amount", "currency"], conflicts_with = "LinesArgs")]
    payment: Option<String>,
    /// The amount that was to be paid, in major units: 19.99
    #[arg(allow_negative_numbers = true)]
    amount: Option<String>,
    /// The currency's ISO 4217 code: usd
    currency: Option<String>,
    /// The tenant it must belong to; for many, of the lines that name none
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// The order it must be for; needed if the payment names one
    #[arg(long, value_name = "ID", requires = "payment")]
    order: Option<String>,
    /// The customer who must have paid: cus_…
    #[arg(long, value_name = "ID", requires = "payment")]
    customer: Option<String>,
    /// The caller's idempotency key
    #[arg(long, value_name = "KEY", requires = "payment")]
    key: Option<String>,
    #[command(flatten)]
    proof: settings::ProofArgs,
    /// Accept what the provider said at most this long ago [default: since this command began, so each payment is asked about]
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    max_age: Option<Duration>,
    /// How results are written [default: table on a terminal, else jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    lines: LinesArgs,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    provider: settings::ProviderArgs,
    #[command(flatten)]
    store: OptionalStore,
}

/// What concerns many payments only.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Many payments")]
pub(crate) struct Many {
    /// The most payments asked about at once
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Show no progress and no summary
    #[arg(long)]
    quiet: bool,
}

/// What is done with each line.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) validator: Validator,
    pub(crate) max_age: Option<Duration>,
    pub(crate) begun: Instant,
}

impl Plan {
    pub(crate) async fn ask(&self, intent: &payproof::PaymentIntent) -> RowOutcome {
        // What is known from before may not be true any more: a refund of this minute is in no memory.
        let max_age = self.max_age.unwrap_or_else(|| self.begun.elapsed());
        match self.validator.validate(intent).max_age(max_age).await {
            Ok(validation) => {
                let is_older = validation.age() > self.begun.elapsed();
                RowOutcome::Told { validation, is_older }
            }
            Err(error) => RowOutcome::CouldNotTell(error),
        }
    }
}

pub(crate) async fn run(args: ValidateArgs) -> Result<Status, Trouble> {
    let format =
        args.format.unwrap_or_else(|| if std::io::stdout().is_terminal() { Format::Table } else { Format::Jsonl });
    let plan = Plan { begun: Instant::now(), validator: validator(&args)?, max_age: args.max_age };
    if args.payment.is_some() {
        return one(args, &plan, format).await;
    }
    if std::io::stdin().is_terminal() {
        return Err(Trouble::new(
            "say which payment: payproof validate pi_… 19.99 usd --tenant ID; or pipe a file into it",
        ));
    }
    let defaults = Defaults { tenant: args.tenant };
    let patience = args.provider.deadline();
    batch::run(plan, args.lines, args.many, defaults, patience, format).await
}

async fn one(args: ValidateArgs, plan: &Plan, format: Format) -> Result<Status, Trouble> {
    let ValidateArgs { payment, amount, currency, tenant, order, customer, key, .. } = args;
    let mut values = LineValues::new(&LineFields::new(CLAIM.fields.iter().map(|field| (*field, *field))));
    for (field, value) in CLAIM.fields.iter().zip([payment, amount, currency, tenant, order, customer, key]) {
        values.set(field, &value.unwrap_or_default());
    }
    let checked = claim::check(&values, None, &Defaults::default());
    let row = Row::of(LinePlace::default(), checked, async |intent| plan.ask(intent).await).await;
    if let Some(complaint) = row.complaint() {
        complain(&complaint);
    }
    let mut text = Vec::new();
    if format == Format::Table {
        text.extend(row.text().into_bytes());
    } else {
        format.head(&mut text);
        format.write(&row, true, &mut text)?;
    }
    crate::output::print(&String::from_utf8_lossy(&text))?;
    Ok(row.status())
}

fn validator(args: &ValidateArgs) -> Result<Validator, Trouble> {
    // Many lines wait for the provider to come back, instead of failing one by one.
    let validator = args.proof.set(args.provider.validator()?).breaker(Breaker::new());
    let validator = validator.max_concurrent(args.many.concurrency.into()).max_keys(MOST_KEYS);
    Ok(args.store.attach(validator)?.build()?)
}
