//! What a machine can check of a deployment, beside provider and store.

use std::net::IpAddr;

use payproof::Mode;
use payproof::store::from_vars;
use reqwest::Url;

use crate::settings::{RECORD_KEY, SECRET_KEY, SWITCHES, variable};
use crate::trouble::Trouble;

use super::DoctorArgs;
use super::report::{DoctorReport, Level};

/// Where payments of customers are.
const PROVIDER: &str = "https://api.stripe.com";

/// Each may say that this is production.
const ENVIRONMENTS: [&str; 2] = ["APP_ENV", "NODE_ENV"];

pub(super) fn check(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    key(args, report)?;
    address(args, report)?;
    switches(report)?;
    store(args, report)?;
    for name in ENVIRONMENTS {
        let value = variable(name)?;
        // Read as by a service that names no store.
        if from_vars("", |asked| value.clone().filter(|_| asked == name))?.is_degraded() {
            return say(report, Level::Fine, &format!("{name} says production"));
        }
    }
    say(
        report,
        Level::Note,
        "neither APP_ENV nor NODE_ENV says production, so a service without a store starts silently",
    )
}

fn say(report: &mut DoctorReport, level: Level, text: &str) -> Result<(), Trouble> {
    report.say(level, "deploy", text)
}

fn key(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    if args.provider.mode() == Mode::Test {
        return say(report, Level::Error, "--mode test checks test payments; leave it out");
    }
    let key = variable(SECRET_KEY)?.unwrap_or_default();
    match key.split('_').next().unwrap_or_default() {
        _ if key.contains("_test_") => {
            say(report, Level::Error, &format!("{SECRET_KEY} is of test mode; use a live key"))
        }
        "rk" => say(report, Level::Fine, &format!("{SECRET_KEY} is a restricted key")),
        "sk" => {
            let text =
                format!("{SECRET_KEY} has every right; a restricted key (rk_…) that reads is enough to validate");
            say(report, Level::Note, &text)
        }
        _ => Ok(()),
    }
}

fn address(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    match args.provider.elsewhere() {
        Some(_) => {
            let text = format!("STRIPE_API_BASE or --base-url leads away from {PROVIDER}; unset it");
            say(report, Level::Error, &text)
        }
        None => say(report, Level::Fine, &format!("payments are looked up at {PROVIDER}")),
    }
}

fn switches(report: &mut DoctorReport) -> Result<(), Trouble> {
    for name in SWITCHES {
        let value = variable(name)?.unwrap_or_default();
        if ["1", "true", "yes", "on"].contains(&&*value.trim().to_ascii_lowercase()) {
            let text = format!("{name} is on, so duplicate requests run again; unset it");
            return say(report, Level::Error, &text);
        }
    }
    say(report, Level::Fine, "no switch lets duplicate requests through")
}

fn store(args: &DoctorArgs, report: &mut DoctorReport) -> Result<(), Trouble> {
    // What is wrong with it has been said.
    let Ok(Some(store)) = args.store.open() else { return Ok(()) };
    if is_in_the_open(store.address()) {
        let text = format!("the way to the store at {} is not encrypted; use rediss://", store.address());
        say(report, Level::Warning, &text)?;
    }
    if !args.provider.names_an_account() {
        say(
            report,
            Level::Error,
            "with a store, the account has to be named: set STRIPE_ACCOUNT_ID to its id, acct_…",
        )?;
    }
    if variable(RECORD_KEY)?.is_some() {
        return say(report, Level::Fine, "records in the store are authenticated");
    }
    let risk = "who can write to the store can forge records; use `record_keys` in the service";
    say(report, Level::Note, &format!("{RECORD_KEY} is not set: {risk}"))
}

/// Whether what goes to this address can be read on its way: it is not encrypted, and leaves this machine.
fn is_in_the_open(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_plain = matches!(url.scheme(), "redis" | "http");
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    is_plain && host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_in_the_open;

    #[test]
    fn only_what_leaves_this_machine_unencrypted_is_in_the_open() {
        for open in ["redis://cache.shop.example:6379", "redis://10.0.0.7:6379", "http://kv.shop.example"] {
            assert!(is_in_the_open(open), "{open}");
        }
        for closed in [
            "rediss://cache.shop.example",
            "redis://127.0.0.1:6379",
            "redis://[::1]:6379",
            "redis://localhost",
            "/tmp/x",
        ] {
            assert!(!is_in_the_open(closed), "{closed}");
        }
    }
}
