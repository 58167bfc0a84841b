//! Which rule decides about an answer of the provider.

use std::io::Read;

use crate::output::print;
use crate::settings::AccountArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Past this, a body explains nothing more; the adapter itself reads no more of one.
const MOST: u64 = 1 << 20;

/// Explain what an answer of the provider leads to; nothing is sent
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The HTTP status
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    status: u16,
    /// A header, as `Name: value`; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The body; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", default_value = "")]
    body: String,
    #[command(flatten)]
    identity: AccountArgs,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<Status, Trouble> {
    let body = if args.body == "-" { standard_input()? } else { args.body.clone().into_bytes() };
    let validator = args.identity.without_provider()?.build()?;
    let headers: Vec<(&str, &str)> = args.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let explained = validator.explain(args.status, &headers, &body);
    print(&format!("{explained}\nread as: {}\n", explained.error()))?;
    Ok(Status::Fine)
}

fn standard_input() -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    let read = std::io::stdin().lock().take(MOST).read_to_end(&mut body);
    read.map_err(|error| Trouble::because("standard input cannot be read; give the body after --body", &error))?;
    Ok(body)
}

/// Splits `Name: value`.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must have the form `Name: value`")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err("must start with a header's name and a colon".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
