//! What a report is written as, and that no text of an order is more than text in it.

use std::fs;

use payproof::testing::sandbox::{Faults, Sandbox};

use crate::folder::Folder;
use crate::program::sandbox_with;
use crate::promtool::{promtool, promtool_takes};

use super::{midnight, orders_in, paid, program};

/// Numbers of orders that are code to a spreadsheet or to a browser.
const HOSTILE: [&str; 6] =
    ["=1+1", "+1", "-1", "@SUM(A1)", "<script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>&amp;"];

/// All that the page is made of.
const TAGS: [&str; 38] = [
    "!doctype",
    "b",
    "bdi",
    "body",
    "caption",
    "dd",
    "desc",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "head",
    "header",
    "html",
    "li",
    "link",
    "main",
    "meta",
    "p",
    "path",
    "rect",
    "section",
    "span",
    "style",
    "svg",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
];

/// A shop with these orders, none of which is paid, and a payment without one.
async fn hostile() -> (Sandbox, Folder, String) {
    let (at, folder) = (midnight(8), Folder::new(&format!("reconcile-hostile-{:?}", std::thread::current().id())));
    let sandbox = sandbox_with([paid("pi_1", "lost", at)]).await;
    let quoted = |order: &str| format!("\"{}\",,19.99,usd,paid,{at},,,", order.replace('"', "\"\""));
    let orders = orders_in(folder.path(), &HOSTILE.map(quoted));
    (sandbox, folder, orders)
}

#[tokio::test]
async fn no_cell_is_a_formula() {
    let (sandbox, _folder, orders) = hostile().await;
    let run = program(&sandbox, &["--orders", &orders, "--format", "csv"]).run().await;
    let mut reader = csv::Reader::from_reader(run.stdout.as_bytes());
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header.join(","), "class,at,payment,tenant,order,amount,currency,findings,confirmed,recent,known");
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{}", run.stdout);
    assert!(rows.iter().any(|row| &row[4] == "'=1+1") && rows.iter().any(|row| &row[4] == HOSTILE[4]), "{rows:?}");
    assert_eq!(rows.len(), HOSTILE.len() + 1, "{rows:?}");
}

#[tokio::test]
async fn the_page_is_one_file_without_scripts_and_takes_no_text_for_markup() {
    let (sandbox, folder, orders) = hostile().await;
    let page = folder.path().join("report.html");
    let run = program(&sandbox, &["--orders", &orders, "--html", page.to_str().unwrap()]).run().await;
    assert_eq!(run.code(), 1, "{run:?}");
    let html = fs::read_to_string(&page).unwrap();
    for tag in html.split('<').skip(1).filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.split(' ').next().unwrap().trim_matches('/');
        assert!(TAGS.contains(&name) && !tag.contains(" on") && !tag.contains("src="), "<{tag}>");
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("&amp;amp;"), "{html}");
    for outside in ["http://", "https://", "//", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside} leads out of the page");
    }
    assert!(html.contains("content=\"default-src 'none'; style-src 'sha256-"), "{html}");
    assert!(
        html.contains("<title id=\"ordered_not_paid-title\">") && html.contains("<desc id=\"ordered_not_paid-desc\">")
    );
    assert_eq!(html.matches("<table").count(), html.matches("<caption>").count());
    assert!(html.contains("<th scope=\"row\"") && html.contains("<th scope=\"col\""));
    // Nothing is left of the file that was written beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_terminal_sees_classes_with_sums_and_the_first_of_each() {
    let (sandbox, _folder, orders) = hostile().await;
    let run = program(&sandbox, &["--orders", &orders, "--format", "table"]).run().await;
    for said in ["class", "paid_not_ordered", "19.99 USD", "119.94 USD", "none_named", "Complete: 7 discrepancies"] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    assert_eq!(run.stdout.matches("\n ordered_not_paid").count(), 1 + 5, "one in sum, five one by one: {}", run.stdout);
    assert!(run.stdout.contains("1 more: see them with --format csv"), "{}", run.stdout);
}

#[tokio::test]
async fn prometheus_takes_the_metrics_and_the_alerts() {
    let (sandbox, folder, orders) = hostile().await;
    let metrics = folder.path().join("reconcile.prom");
    let run = program(&sandbox, &["--orders", &orders, "--metrics", metrics.to_str().unwrap()]).run().await;
    let text = fs::read_to_string(&metrics).unwrap();
    let labels = "provider=\"stripe\",account=\"default\",mode=\"live\"";
    for line in [
        format!("payproof_reconcile_findings{{{labels},class=\"paid_not_ordered\"}} 1"),
        format!("payproof_reconcile_findings{{{labels},class=\"ordered_not_paid\"}} {}", HOSTILE.len()),
        format!("payproof_reconcile_findings{{{labels},class=\"pending\"}} 0"),
        format!("payproof_reconcile_complete{{{labels}}} 1"),
    ] {
        assert!(text.lines().any(|said| said == line), "{line}: {text}\n{}", run.stderr);
    }
    promtool_takes(&metrics);
    promtool(&["check", "rules", "examples/observability/reconcile.yaml"]);
    promtool(&["test", "rules", "tests/cli/reconcile/alerts_test.yaml"]);
}

#[tokio::test]
async fn an_outage_is_told_as_incomplete_everywhere() {
    let (sandbox, folder, orders) = hostile().await;
    sandbox.set_faults(Faults::down());
    let [metrics, page] = ["reconcile.prom", "report.html"].map(|name| folder.path().join(name).display().to_string());
    let arguments =
        ["--orders", &orders, "--retries", "0", "--format", "table", "--metrics", &metrics, "--html", &page];
    let run = program(&sandbox, &arguments).run().await;
    assert_eq!(run.code(), 2, "{run:?}");
    assert!(run.stdout.ends_with("and there may be more\n"), "{}", run.stdout);
    let why = "payments: a page could not be had: provider_unavailable";
    assert!(run.stderr.contains(&format!("could not be found out: {why}\n")), "{}", run.stderr);
    assert!(
        fs::read_to_string(metrics)
            .unwrap()
            .contains("payproof_reconcile_complete{provider=\"stripe\",account=\"default\",mode=\"live\"} 0\n")
    );
    assert!(fs::read_to_string(page).unwrap().contains(&format!("<li>{why}</li>")));
}

#[tokio::test]
async fn the_page_lists_the_first_of_each_class_and_nothing_that_is_known() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-many"));
    let sandbox = sandbox_with((0..130).map(|number| paid(&format!("pi_{number}"), "lost", at + number))).await;
    let orders = orders_in(folder.path(), &[1, 2].map(|order| format!("{order},,19.99,usd,paid,{at},,,")));
    let [known, page] = ["known.csv", "report.html"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&known, "class,payment,reason\npaid_not_ordered,pi_0,a donation\n").unwrap();
    let run = program(&sandbox, &["--orders", &orders, "--known", &known, "--html", &page]).run().await;
    assert_eq!((run.code(), run.rows().len()), (1, 132), "{}", run.stderr);
    let html = fs::read_to_string(page).unwrap();
    let (_, listed) = html.split_once("<table class=\"each\">").unwrap();
    assert!(listed.contains("<caption>The first 100 of each class; 29 more are in"), "{listed}");
    assert_eq!(listed.matches("<th scope=\"row\">").count(), 102);
    assert!(!listed.contains("<bdi>pi_0</bdi>") && !html.contains("a donation") && html.contains("1 known"));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_nothing_of_it_is_left() {
    let (sandbox, folder, orders) = hostile().await;
    let (missing, taken) = (folder.path().join("none/report.html"), folder.path().join("taken"));
    fs::create_dir(&taken).unwrap();
    for (option, path) in [("--html", missing), ("--metrics", taken)] {
        let run = program(&sandbox, &["--orders", &orders, option, path.to_str().unwrap()]).run().await;
        assert_eq!(run.code(), 2, "{run:?}");
        let said = format!("{} cannot be written; look at its folder", path.display());
        assert!(run.error().contains(&said), "{}", run.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the orders, and what was there");
}
