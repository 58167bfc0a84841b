//! The lists of what is indeterminate: operations and requests of which it is unknown whether they were executed.

use payproof::guard::IndeterminateList;
use serde_json::json;

use crate::output::{millis, plain, print, shown, table};
use crate::settings::StoreArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// List what is indeterminate: operations and requests of which it is unknown whether they were executed
///
/// Each has a reference for `payproof resolve`. `key left` says for how long an operation may still be run again under the
/// provider's key, which makes that safe. A list holds 2,000; how many found no room on it is said below. Exit status: 0 there are none, 1 there are some, 2 could not tell.
#[derive(Debug, clap::Args)]
pub(crate) struct IndeterminateArgs {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    records: StoreArgs,
}

pub(crate) async fn run(args: IndeterminateArgs) -> Result<Status, Trouble> {
    let validator = args.records.validator()?;
    let lists = [
        ("operation", validator.guard().indeterminate().await?),
        ("request", validator.indeterminate_requests().await?),
    ];
    print(&if args.json { as_json(&lists) } else { as_text(&lists) })?;
    Ok(if lists.iter().all(|(_, list)| list.is_empty()) { Status::Fine } else { Status::NotFine })
}

fn as_json(lists: &[(&str, IndeterminateList)]) -> String {
    let of_list = |(kind, list): &(&str, IndeterminateList)| {
        let listed = list.iter().map(|operation| {
            json!({
                "kind": kind,
                "reference": operation.reference().to_string(),
                "tenant": operation.tenant(),
                "name": operation.name(),
                "age_ms": millis(operation.age()),
                "key_left_ms": operation.key_left().map(millis),
            })
        });
        let more = (list.not_listed() > 0).then(|| json!({ "kind": kind, "not_listed": list.not_listed() }));
        listed.chain(more).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat()
    };
    lists.iter().map(of_list).collect()
}

fn as_text(lists: &[(&str, IndeterminateList)]) -> String {
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return "nothing is indeterminate\n".to_owned();
    }
    let mut table = table(["reference", "kind", "tenant", "name", "age", "key left"]);
    for (kind, list) in lists {
        for operation in list {
            let (tenant, name) = (plain(operation.tenant()), plain(operation.name()));
            let key_left = operation.key_left().map(shown).unwrap_or_default();
            let (reference, age) = (operation.reference().to_string(), shown(operation.age()));
            table.add_row([reference, (*kind).to_owned(), tenant, name, age, key_left]);
        }
    }
    let more = lists.iter().filter(|(_, list)| list.not_listed() > 0);
    let more = more.map(|(kind, list)| format!("about {} more {kind}s are not listed\n", list.not_listed()));
    format!("{table}\n{}", more.collect::<Vec<_>>().concat())
}
