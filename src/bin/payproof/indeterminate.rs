//! The list of indeterminate operations: it is unknown whether the provider executed them.

use payproof::guard::IndeterminateList;
use serde_json::json;

use crate::output::{millis, plain, print, shown, table};
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// List the indeterminate operations: it is unknown whether the provider executed them
///
/// Each has a reference for `payproof resolve`. Exit status: 0 there are none, 1 there are some, 2 could not tell.
#[derive(Debug, clap::Args)]
pub(crate) struct IndeterminateArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: IndeterminateArgs) -> Result<Status, Trouble> {
    let list = args.records.validator()?.guard().indeterminate().await?;
    print(&if args.json { as_json(&list) } else { as_text(&list) })?;
    Ok(if list.is_empty() { Status::Fine } else { Status::NotFine })
}

fn as_json(list: &IndeterminateList) -> String {
    let lines = list.iter().map(|operation| {
        let line = json!({
            "reference": operation.reference().to_string(),
            "tenant": operation.tenant(),
            "name": operation.name(),
            "age_ms": millis(operation.age()),
        });
        format!("{line}\n")
    });
    let more = (list.not_listed() > 0).then(|| format!("{}\n", json!({ "not_listed": list.not_listed() })));
    lines.chain(more).collect()
}

fn as_text(list: &IndeterminateList) -> String {
    if list.is_empty() {
        return "nothing is indeterminate\n".to_owned();
    }
    let mut table = table(["reference", "tenant", "name", "age"]);
    for operation in list {
        let (tenant, name) = (plain(operation.tenant()), plain(operation.name()));
        table.add_row([operation.reference().to_string(), tenant, name, shown(operation.age())]);
    }
    let more = match list.not_listed() {
        0 => String::new(),
        more => format!("about {more} more are not listed\n"),
    };
    format!("{table}\n{more}")
}
