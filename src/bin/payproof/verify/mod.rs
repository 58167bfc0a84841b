//! Checks the idempotency of an endpoint that runs somewhere.

mod answer;
mod checks;
mod probe;
mod target;

use std::time::Duration;

use clap::ColorChoice;
use reqwest::Url;

use crate::explain::header;
use crate::output::{GREEN, Paint, RED, YELLOW, plain, print};
use crate::settings;
use crate::status::Status;
use crate::trouble::Trouble;

/// Check a deployed endpoint's idempotency
///
/// It sends real requests, so point it at a staging deployment without other traffic: one request that runs, its
/// duplicate, one more under another key, one with another body, one without a key, and the concurrent duplicates. At most
/// three of them should have an effect. Redirects are not followed.
///
/// An endpoint may be right to let no second request with the same body have an effect, such as a second order for one
/// payment. Whether another key runs anew, and whether concurrent duplicates run once, is then only seen with requests that
/// may: give --new-body and --concurrent-body.
///
/// Whether concurrent duplicates run once can only be seen where the effects are: name a probe, an address that answers GET
/// with their number, as plain text or as JSON. A pointer into JSON may also lead to a list, whose length counts.
///
/// Exit status: 0 idempotent, 1 not, 2 could not tell.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The endpoint's address
    #[arg(value_parser = url)]
    url: Url,
    /// The method of its requests
    #[arg(long, default_value = "POST", value_parser = method)]
    method: reqwest::Method,
    /// A header of its requests, as `Name: value`; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A header whose value stands in a variable, as `Name=VARIABLE`, so that no token shows in a list of processes; may be
    /// repeated
    #[arg(long = "header-env", value_name = "NAME=VARIABLE", value_parser = header_variable)]
    header_variables: Vec<(String, String)>,
    /// The body of its requests
    #[arg(long, value_name = "TEXT", default_value = "{}")]
    body: String,
    /// Another body that the endpoint would accept under another key
    #[arg(long, value_name = "TEXT", default_value = "{\"payproof\":\"another body\"}")]
    other_body: String,
    /// A body that may have an effect of its own under another key [default: that of --body, which may not be let to]
    #[arg(long, value_name = "TEXT")]
    new_body: Option<String>,
    /// A body that may have an effect of its own, for the concurrent duplicates [default: that of --body]
    #[arg(long, value_name = "TEXT")]
    concurrent_body: Option<String>,
    /// An address that answers with the number of effects so far
    #[arg(long, value_name = "URL", value_parser = url)]
    probe: Option<Url>,
    /// Where the number stands in the probe's JSON: /orders/count
    #[arg(long, value_name = "POINTER", requires = "probe")]
    probe_pointer: Option<String>,
    /// A header for the probe whose value stands in a variable, as `Name=VARIABLE`; may be repeated
    #[arg(long = "probe-header-env", value_name = "NAME=VARIABLE", value_parser = header_variable, requires = "probe")]
    probe_header_variables: Vec<(String, String)>,
    /// How many duplicates are sent at once
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=100))]
    duplicates: u8,
    /// The longest one request may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = settings::duration)]
    timeout: Duration,
    /// When results are colored; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value = "auto")]
    color: ColorChoice,
}

/// What one check found.
pub(crate) enum CheckResult {
    Holds(String),
    /// What is wrong, and what to do.
    Broken(String),
    /// Why it could not be checked, and what to do.
    Unknown(String),
    /// It was not to be seen, and the endpoint may be right: what to give for it.
    Unseen(String),
}

/// Prints each finding as soon as there is one.
pub(crate) struct CheckReport {
    paint: Paint,
    broken: bool,
    unknown: bool,
    unseen: bool,
}

impl CheckReport {
    pub(crate) fn say(&mut self, rule: &str, finding: &CheckResult) -> Result<(), Trouble> {
        let (mark, text) = match finding {
            CheckResult::Holds(text) => (self.paint.with(GREEN, "ok  "), text),
            CheckResult::Broken(text) => (self.paint.with(RED, "FAIL"), text),
            CheckResult::Unknown(text) => (self.paint.with(YELLOW, "?   "), text),
            CheckResult::Unseen(text) => (self.paint.with(YELLOW, "note"), text),
        };
        self.broken |= matches!(finding, CheckResult::Broken(_));
        self.unknown |= matches!(finding, CheckResult::Unknown(_));
        self.unseen |= matches!(finding, CheckResult::Unseen(_));
        print(&format!("{mark}  {rule}: {}\n", plain(text)))
    }

    /// What is broken is known to be, whatever else is not.
    fn status(&self) -> Status {
        match (self.broken, self.unknown) {
            (true, _) => Status::NotFine,
            (false, true) => Status::CouldNotTell,
            (false, false) => Status::Fine,
        }
    }
}

pub(crate) async fn run(args: VerifyArgs) -> Result<Status, Trouble> {
    let mut report = CheckReport { paint: Paint::new(args.color), broken: false, unknown: false, unseen: false };
    let duplicates = args.duplicates;
    checks::run(&target::Target::new(args)?, duplicates, &mut report).await?;
    let status = report.status();
    let CheckReport { paint, unseen, .. } = report;
    print(&match status {
        Status::Fine if unseen => {
            format!("{}\n", paint.with(GREEN, "idempotent, as far as could be seen; see the notes"))
        }
        Status::Fine => format!("{}\n", paint.with(GREEN, "idempotent")),
        Status::NotFine => format!("{}\n", paint.with(RED, "not idempotent")),
        Status::CouldNotTell => format!("{}\n", paint.with(YELLOW, "could not tell")),
    })?;
    Ok(status)
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "must be an address such as https://shop.example/checkouts".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must start with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain credentials; give them with --header-env".to_owned());
    }
    Ok(url)
}

fn method(text: &str) -> Result<reqwest::Method, String> {
    text.to_ascii_uppercase().parse().map_err(|_| "must be an HTTP method such as POST".to_owned())
}

fn header_variable(text: &str) -> Result<(String, String), String> {
    let (name, variable) = text.split_once('=').ok_or("must have the form `Name=VARIABLE`")?;
    header(&format!("{name}:")).map_err(|_| "must start with a header's name and `=`".to_owned())?;
    if variable.is_empty() {
        return Err("must name a variable after `=`".to_owned());
    }
    Ok((name.to_owned(), variable.to_owned()))
}
