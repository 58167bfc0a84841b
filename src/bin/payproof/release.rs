//! Undoes a redemption.

use std::io::Read as _;

use payproof::redeem::Receipt;

use crate::output::{note, owner};
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// No receipt is longer: each of its ids has at most 255 bytes.
const MOST: u64 = 64 * 1024;

/// Undo a redemption, so that the payment may pay another order, and another payment the order
///
/// Only exactly the redemption that the receipt is of is undone: after a later one of the same payment nothing changes. Releasing
/// twice is no error. Money is not moved: refund the payment where it shall not pay anything.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The receipt, as the service keeps it with the order; `-` reads it from standard input
    receipt: String,
    /// Who undoes it, for the log and for `payproof decisions`: a name, a ticket
    #[arg(long, value_name = "NAME")]
    who: String,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: ReleaseArgs) -> Result<Status, Trouble> {
    let text = if args.receipt == "-" { standard_input()? } else { args.receipt };
    let receipt: Receipt = text.trim().parse().map_err(|error| Trouble::because("this is no receipt", &error))?;
    let validator = args.records.validator()?;
    let before = validator.redemption(receipt.payment()).await?;
    validator.release(&receipt, &args.who).await?;
    let what = format!("{} and {}", receipt.payment(), owner(&receipt));
    note(&Trouble::new(match before {
        Some(_) => format!("changed: released {what}, by {}", args.who),
        None => format!("unchanged: {what} had been released before"),
    }));
    Ok(Status::Fine)
}

fn standard_input() -> Result<String, Trouble> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(|error| Trouble::because("standard input cannot be read; give the receipt as an argument", &error))?;
    Ok(text)
}
