//! The report as one page for a browser: without scripts, and with nothing from outside.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use payproof::provider::ProviderIdentity;
use payproof::reconcile::{Discrepancy, ReconcileStatus, Reconciliation};
use sha2::{Digest as _, Sha256};

use super::picture::Picture;
use super::words::{escaped, heading, meaning};
use super::{table, times};

const STYLE: &str = include_str!("page.css");

/// Discrepancies of each class that are listed: a page with all of them may be too much for a browser.
const MOST_LISTED: u64 = 100;

/// What stands in front of each state's word: a check, a dot and a triangle, so that no color says it alone.
const CHECK: &str = "M3 8.5 6.5 12 13 4.5";
const DOT: &str = "M8 4.5v4M8 11.4v.1M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13";
const TRIANGLE: &str = "M8 2 15 14H1ZM8 6.5v3.5M8 12v.1";

pub(crate) fn write(report: &Reconciliation, identity: &ProviderIdentity, out: &mut dyn Write) -> io::Result<()> {
    let (since, until) = report.window();
    let [since, until] = [since, until].map(times::day);
    let policy = STANDARD.encode(Sha256::digest(STYLE));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{policy}'; img-src data:; base-uri 'none'; form-action 'none'\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light \
         dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n<title>Payments \
         and orders, {since} to {until}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )?;
    writeln!(out, "<header>\n<h1>Payments and orders</h1>")?;
    let [provider, account, mode] = [identity.name(), identity.label(), identity.mode().as_str()].map(escaped);
    writeln!(out, "<p class=\"soft\">{provider}, account <bdi>{account}</bdi>, {mode} mode</p>")?;
    state(report, out)?;
    writeln!(out, "</header>\n<main>")?;
    read(report, out)?;
    missing(report, out)?;
    by_class(report, out)?;
    let picture = Picture::of(report);
    if !picture.is_empty() {
        writeln!(out, "<section>\n<h2>By day</h2>")?;
        picture.write(out)?;
        picture.write_table(out)?;
        writeln!(out, "</section>")?;
    }
    one_by_one(report, out)?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "</main>\n<footer><p class=\"soft\">Ids, amounts, times and codes alone. payproof {version}</p></footer>"
    )?;
    writeln!(out, "</body>\n</html>")
}

/// What the report comes to: a shape, words and a color.
fn state(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    let (tone, shape) = match report.status() {
        ReconcileStatus::Clean => ("good", CHECK),
        ReconcileStatus::Found => ("bad", DOT),
        ReconcileStatus::Incomplete => ("lost", TRIANGLE),
    };
    let verdict = table::verdict(report);
    writeln!(
        out,
        "<p class=\"state {tone}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"{shape}\"/></svg>{verdict}</p>"
    )
}

fn read(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    let (counts, (since, until)) = (report.counts(), report.window());
    let facts = [
        ("Window", format!("{} to {}", time(since), time(until))),
        ("Orders as of", time(report.orders_as_of())),
        ("Orders", format!("{}, and {} unusable lines", counts.orders(), counts.unusable_orders())),
        ("Payments", format!("{} listed, {} changes", counts.payments(), counts.changes())),
        ("Calls", format!("{} pages, {} look-ups", counts.pages(), counts.look_ups())),
    ];
    writeln!(out, "<section>\n<h2>What was read</h2>\n<dl>")?;
    for (name, fact) in facts {
        writeln!(out, "<div><dt>{name}</dt><dd>{fact}</dd></div>")?;
    }
    let only_counted = table::only_counted(report);
    writeln!(out, "<div><dt>Only counted</dt><dd>{only_counted}</dd></div>\n</dl>\n</section>")
}

fn missing(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    if report.missing().is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What could not be found out</h2>\n<ul>")?;
    for missing in report.missing() {
        writeln!(out, "<li>{}</li>", escaped(missing))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn by_class(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    let classes = table::classes(report);
    if classes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section>\n<h2>By class</h2>\n<table>\n<caption>Discrepancies of each class, and the money that they are about</caption>"
    )?;
    writeln!(
        out,
        "<thead><tr><th scope=\"col\">Class</th><th scope=\"col\" class=\"number\">Told</th><th scope=\"col\">Money</th></tr></thead>\n<tbody>"
    )?;
    for class in classes {
        let counts = report.counts().of(class);
        let notes = [(counts.recent, "recent"), (counts.unconfirmed, "unconfirmed"), (counts.known, "known")];
        let notes = notes.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let notes = notes.collect::<Vec<_>>().join(", ");
        let (heading, meaning, told, sums) = (heading(class), meaning(class), counts.told, table::sums(report, class));
        writeln!(
            out,
            "<tr><th scope=\"row\">{heading}<span class=\"soft\">{meaning}</span></th><td class=\"number\">{told}<span \
             class=\"soft\">{notes}</span></td><td>{sums}</td></tr>"
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn one_by_one(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    if report.counts().told() == 0 {
        return Ok(());
    }
    let caption = match table::beyond_first(report, MOST_LISTED) {
        0 => "Every discrepancy that no person has accepted".to_owned(),
        left => format!(
            "The first {MOST_LISTED} of each class; {left} more are in what the command prints as CSV or JSON lines"
        ),
    };
    writeln!(out, "<section>\n<h2>One by one</h2>\n<table class=\"each\">\n<caption>{caption}</caption>")?;
    writeln!(
        out,
        "<thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Payment and order</th><th \
         scope=\"col\">Money</th></tr></thead>\n<tbody>"
    )?;
    for told in table::first_of_each(report, MOST_LISTED) {
        line(&told?, out)?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

/// A time in UTC whose parts stay whole where a line is narrow.
fn time(seconds: u64) -> String {
    let shown = times::shown(seconds);
    match shown.trim_end_matches('Z').split_once('T') {
        Some((day, of_day)) => {
            format!("<time datetime=\"{shown}\"><span>{day}</span> <span>{of_day}</span> UTC</time>")
        }
        None => shown,
    }
}

fn line(told: &Discrepancy, out: &mut dyn Write) -> io::Result<()> {
    let isolated = |text: &str| format!("<bdi>{}</bdi>", escaped(text));
    let payment = told.payment().map_or_else(|| "no payment".to_owned(), isolated);
    let order = match (told.order(), told.tenant()) {
        (Some(order), Some(tenant)) => format!("order {} of {}", isolated(order), isolated(tenant)),
        _ => "no order".to_owned(),
    };
    let is_recent = if told.is_recent() { ", recent" } else { "" };
    let is_unconfirmed = if told.is_confirmed() { "" } else { ", unconfirmed" };
    let findings = escaped(&told.findings().join(", "));
    let money = told.money().map(|money| money.to_string()).unwrap_or_default();
    writeln!(
        out,
        "<tr><th scope=\"row\">{}<span class=\"soft\">{}{is_recent}{is_unconfirmed}</span></th><td>{payment}<span \
         class=\"soft\">{order}</span><span class=\"soft\">{findings}</span></td><td>{money}</td></tr>",
        heading(told.class()),
        time(told.at()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_ends_no_element_and_asks_for_nothing() {
        assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
