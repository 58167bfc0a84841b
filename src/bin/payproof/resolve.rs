//! Says what became of an operation or a request.

use payproof::guard::{OperationReference, Resolution, ResolveError};
use serde_json::Value;

use crate::output::note;
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Say what became of an indeterminate operation or request, after looking at the provider
#[derive(Debug, clap::Args)]
pub(crate) struct ResolveArgs {
    /// The reference: from `payproof indeterminate`, from a request's refusal, or from the log
    // A digest may begin with a hyphen.
    #[arg(allow_hyphen_values = true)]
    reference: String,
    #[command(flatten)]
    outcome: Outcome,
    /// Who says so, for the log and for `payproof decisions`: a name, a ticket
    #[arg(long, value_name = "NAME")]
    who: String,
    #[command(flatten)]
    records: StoreArgs,
}

/// Exactly one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Outcome {
    /// It was executed; its result is lost, and later runs are told so
    #[arg(long)]
    done: bool,
    /// It was executed, with this result, which later runs get
    #[arg(long, value_name = "JSON")]
    done_with: Option<String>,
    /// It was not executed, and no request can still be on its way: the next run sends it again
    #[arg(long)]
    not_executed: bool,
}

pub(crate) async fn run(args: ResolveArgs) -> Result<Status, Trouble> {
    let ResolveArgs { reference, outcome, who, records } = args;
    let reference = reference
        .parse::<OperationReference>()
        .map_err(|_| Trouble::new("the reference is not one of 43 characters; copy it from payproof indeterminate"))?;
    let (resolution, what) = match outcome {
        Outcome { done_with: Some(result), .. } => {
            let result: Value = serde_json::from_str(&result).map_err(|error| {
                Trouble::new(format!("the result after --done-with is not JSON, from column {} on", error.column()))
            })?;
            (Resolution::done(&result), "done, with a result")
        }
        Outcome { done: true, .. } => (Resolution::done_without_result(), "done, without a result"),
        Outcome { .. } => (Resolution::not_executed(), "not executed"),
    };
    let validator = records.validator()?;
    let mut resolved = validator.guard().resolve_reference(reference, resolution.clone(), &who).await;
    // A reference does not say which of the two it names.
    if matches!(resolved, Err(ResolveError::NothingToResolve { .. })) {
        match validator.resolve_request(reference, resolution, &who).await {
            Err(ResolveError::NothingToResolve { .. }) => {}
            of_a_request => resolved = of_a_request,
        }
    }
    resolved?;
    note(&format_args!("changed: resolved {reference} as {what}, by {}", Trouble::new(&who)));
    Ok(Status::Fine)
}
