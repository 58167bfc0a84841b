//! Forgets what is known about a payment.

use payproof::PaymentId;

use crate::output::note;
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Forget the facts about a payment, so that the next validation asks the provider
///
/// Redemptions stay. Processes that have the facts in memory may serve them for as long as facts_in_memory_for says, 5 s
/// unless set, and for 1 s where Redis tells them of it.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// The payment's id: pi_…
    payment: String,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: ForgetArgs) -> Result<Status, Trouble> {
    let payment = PaymentId::parse(&args.payment)?;
    let validator = args.records.validator()?;
    validator.forget(&payment).await?;
    note(&format_args!("changed: forgot the facts of {payment}; the store has confirmed"));
    Ok(Status::Fine)
}
