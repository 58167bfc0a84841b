//! Exports as shops have them: their columns, presets, encodings and amounts.

use payproof::testing::sandbox::SandboxPayment;
use serde_json::Value;

use crate::program::{Program, Run, paid, sandbox_with};

/// Payments of 19.99 USD of `store_42` for order 6735, and one of 1560.00 USD.
async fn validate(options: &[&str], input: impl AsRef<[u8]>) -> Run {
    let large = SandboxPayment::paid("pi_large", 156_000, "usd");
    let large = large.tenant("store_42").order("6735");
    let sandbox = sandbox_with(["pi_1", "pi_2", "pi_3"].map(paid).into_iter().chain([large])).await;
    let arguments = [&["validate", "--format", "jsonl"], options].concat();
    Program::at(&sandbox, &arguments).run_with(input).await
}

/// The number of each line with its verdict, or with the field that is wrong.
fn told(run: &Run) -> Vec<(u64, String)> {
    let rows = run.rows();
    let word = |row: &Value| row["verdict"].as_str().or(row["error"]["field"].as_str()).unwrap_or("?").to_owned();
    rows.iter().map(|row| (row["line"].as_u64().unwrap(), word(row))).collect()
}

fn all_valid(run: &Run, lines: &[u64]) {
    let expected: Vec<_> = lines.iter().map(|line| (*line, "valid".to_owned())).collect();
    assert_eq!((told(run), run.code()), (expected, 0), "{run:?}");
}

fn message(run: &Run) -> String {
    run.rows()[0]["error"]["message"].as_str().unwrap_or_default().to_owned()
}

const HEADER: &str = "payment,amount,currency,tenant,order\n";

#[tokio::test]
async fn a_column_is_mapped_to_its_field_in_csv_and_in_json_lines() {
    let options = ["--map", "payment=PaymentIntent ID", "--map", "order= Order No. ", "--tenant", "store_42"];
    let csv = "paymentintent id,amount,currency,Order No.\npi_1,19.99,usd,6735\n";
    all_valid(&validate(&options, csv).await, &[2]);
    let json = r#"{"PaymentIntent ID":"pi_1","amount":"19.99","currency":"usd","Order No.":6735}"#;
    all_valid(&validate(&options, json).await, &[1]);
    // The field's own name is that of another column then.
    let csv = "payment,PaymentIntent ID,amount,currency,Order No.\npi_9,pi_1,19.99,usd,6735\n";
    let run = validate(&options, csv).await;
    assert!(run.error().contains("`payment` is not one of PaymentIntent ID, Order No., amount"), "{run:?}");
    all_valid(&validate(&[&options[..], &["--ignore-unknown"]].concat(), csv).await, &[2]);
}

#[tokio::test]
async fn a_mapping_that_cannot_be_kept_is_refused_by_name() {
    let csv = format!("{HEADER}pi_1,19.99,usd,store_42,6735\n");
    for (maps, said) in [
        (&["order=Order No."][..], "lacks `Order No.` (order)"),
        (&["payment=id", "payment=PaymentIntent ID"], "the field payment twice"),
        (&["oder=order"], "`oder` is not one of the fields payment, amount"),
        (&["order=payment"], "the column `payment` is to hold both order and payment"),
        (&["order="], "names no column"),
        (&["order"], "FIELD=COLUMN"),
    ] {
        let maps: Vec<&str> = maps.iter().flat_map(|map| ["--map", map]).collect();
        let run = validate(&maps, &csv).await;
        assert_eq!((run.code(), &*run.stdout), (2, ""), "{maps:?}");
        assert!(run.stderr.contains(said), "{maps:?}: {}", run.stderr);
    }
    let run = validate(&["--input", "csv", "--preset", "shopify"], HEADER).await;
    assert!(run.error().contains("lacks `Payment Reference` (payment), `Total` (amount)"), "{run:?}");
}

#[tokio::test]
async fn the_delimiter_is_the_one_that_gives_all_needed_columns() {
    for csv in [
        // Commas inside of quoted names, and more of them than there are semicolons.
        "payment;\"a, b, c, d, e\";amount;currency;tenant;order\npi_1;x;19.99;usd;store_42;6735\n",
        "\"note; or, remark\"\tpayment\tamount\tcurrency\ttenant\torder\nx\tpi_1\t19.99\tusd\tstore_42\t6735\n",
        "sep=;\npayment;amount;currency;tenant;order\n",
        "sep=|\r\npayment|amount|currency|tenant|order\r\n",
    ] {
        let last = if csv.contains('|') { "pi_2|19.99|usd|store_42|6735\n" } else { "pi_2;19.99;usd;store_42;6735\n" };
        let csv = if csv.starts_with("sep") { format!("{csv}{last}") } else { csv.to_owned() };
        let run = validate(&["--ignore-unknown"], &csv).await;
        let is_told = csv.starts_with("sep");
        all_valid(&run, &[if is_told { 3 } else { 2 }]);
        let header = if is_told { "3 lines = 2 header + 1 results" } else { "2 lines = 1 header + 1 results" };
        assert!(run.stderr.contains(header), "{}", run.stderr);
    }
}

#[tokio::test]
async fn empty_columns_behind_the_last_and_rows_of_separators_do_not_count() {
    let csv = ";;;;\r\npayment;amount;currency;tenant;order;;\r\npi_1;19.99;usd;store_42;6735\r\n\
               pi_2;19.99;usd;store_42;6735;;;;\r\n;;;;;;\r\n ; ;\"\";;\r\npi_3;19.99;usd;store_42;6735;;x\r\n;;\r\n";
    let run = validate(&[], csv).await;
    let expected = [(3, "valid"), (4, "valid"), (7, "?")].map(|(line, word)| (line, word.to_owned()));
    assert_eq!((told(&run), run.code()), (expected.to_vec(), 2), "{run:?}");
    assert!(run.stdout.contains("the line has 7 columns, and the header row has 5"), "{run:?}");
    let account = "8 lines = 1 header + 2 results + 1 unusable + 4 blank + 0 continued";
    assert!(run.stderr.contains(account), "{}", run.stderr);
}

#[tokio::test]
async fn values_are_trimmed_and_blanks_inside_of_them_stay() {
    let spaced = SandboxPayment::paid("pi_4", 1999, "usd").tenant("store 42").order("67  35");
    let sandbox = sandbox_with([spaced]).await;
    let csv = "payment,amount,currency,tenant,order\n pi_4 ,19.99\u{a0},\" usd\",\tstore 42 , 67  35\u{a0}\n";
    let json = r#"{"payment":" pi_4","amount":"19.99 ","currency":"usd ","tenant":" store 42","order":"67  35 "}"#;
    for input in [csv, json] {
        let run = Program::at(&sandbox, &["validate"]).run_with(input).await;
        assert_eq!(run.code(), 0, "{run:?}");
        assert_eq!((&run.rows()[0]["tenant"], &run.rows()[0]["order"]), (&"store 42".into(), &"67  35".into()));
    }
}

#[tokio::test]
async fn utf_16_is_read_by_its_mark_and_other_encodings_by_their_name() {
    let tenant = "Käserei €";
    let sandbox = sandbox_with([paid("pi_1").tenant(tenant)]).await;
    let text = format!("{HEADER}pi_1,19.99,usd,{tenant},6735\n");
    let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{text}");
    let windows: Vec<u8> = text
        .chars()
        .map(|c| match c {
            '€' => 0x80,
            c => u8::try_from(c).unwrap(),
        })
        .collect();
    for (options, input) in [
        (&["validate"][..], utf_16(&marked, u16::to_le_bytes)),
        (&["validate"], utf_16(&marked, u16::to_be_bytes)),
        (&["validate", "--encoding", "utf-16le"], utf_16(&text, u16::to_le_bytes)),
        (&["validate", "--encoding", "windows-1252"], windows.clone()),
        (&["validate", "--encoding", "windows-1252"], marked.into_bytes()),
    ] {
        let run = Program::at(&sandbox, options).run_with(&input).await;
        assert_eq!((run.code(), &run.rows()[0]["tenant"]), (0, &tenant.into()), "{options:?}: {run:?}");
    }
    let run = validate(&[], utf_16(&text, u16::to_be_bytes)).await;
    assert!(run.error().contains("looks like UTF-16; say --encoding utf-16be"), "{run:?}");
    let run = validate(&[], &windows).await;
    assert!(message(&run).contains("must be UTF-8") && message(&run).contains("--encoding"), "{run:?}");
    let run = validate(&["--encoding", "klingon"], &windows).await;
    assert!(run.code() == 2 && run.stderr.contains("is not known; usual are windows-1252"), "{run:?}");
}

#[tokio::test]
async fn an_amount_that_may_be_two_numbers_is_refused_until_its_sign_is_told() {
    let line = |amount: &str| format!("payment;amount;currency;tenant;order\npi_large;{amount};usd;store_42;6735\n");
    for amount in ["1,560", "1.560", "1.560,00", "1,560.00", "1 560.00"] {
        let run = validate(&[], line(amount)).await;
        assert_eq!((told(&run), run.code()), (vec![(2, "amount".to_owned())], 2), "{run:?}");
        let message = message(&run);
        assert!(
            message.contains("(comma)") && message.contains("(point)") && message.contains("--decimal"),
            "{message}"
        );
        assert!(!message.contains("560"), "no value is repeated: {message}");
    }
    for (sign, amount) in [
        (",", "1560,00"),
        (",", "1.560,00"),
        ("comma", "1 560"),
        (",", "1\u{202f}560,0"),
        (",", "1.560"),
        (".", "1,560"),
        ("point", "1'560.00"),
        (".", "1560"),
    ] {
        all_valid(&validate(&["--decimal", sign], line(amount)).await, &[2]);
    }
    let json = r#"{"payment":"pi_large","amount":"1.560,00","currency":"usd","tenant":"store_42","order":"6735"}"#;
    all_valid(&validate(&["--decimal", ","], json).await, &[1]);
    let run = validate(&["--decimal", ","], line("1560.00")).await;
    assert!(message(&run).contains("three digits"), "{run:?}");
    let run = validate(&["--decimal", ","], line("-1.560,00")).await;
    assert!(message(&run).contains("more than zero"), "{run:?}");
}

#[tokio::test]
async fn the_same_payment_on_two_lines_is_told_with_both() {
    let line = "pi_1,19.99,usd,store_42,6735\n";
    let csv = format!("{HEADER}{line}pi_2,19.99,usd,store_42,6735\n{line}pi_1,x,usd,store_42,6735\n");
    let run = validate(&[], &csv).await;
    let also: Vec<Option<u64>> = run.rows().iter().map(|row| row["also_on_line"].as_u64()).collect();
    assert_eq!(also, [None, None, Some(2), Some(2)], "{run:?}");
    let told = "2 NAME THE PAYMENT OF AN EARLIER LINE, such as line 4 that of line 2";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    let sandbox = sandbox_with(["pi_1", "pi_2"].map(paid)).await;
    for format in ["table", "csv"] {
        let run = Program::at(&sandbox, &["validate", "--format", format]).run_with(&csv).await;
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert!(lines[3].contains("the same payment as on line 2"), "{lines:?}");
        assert!(lines[4].contains("; the same payment as on line 2"), "{lines:?}");
    }
}

#[tokio::test]
async fn an_old_payment_in_a_withdrawn_currency_is_read_and_judged() {
    let kuna = SandboxPayment::paid("pi_hr", 1999, "hrk").tenant("store_42").order("6735");
    let sandbox = sandbox_with([kuna]).await;
    let csv =
        format!("{HEADER}pi_hr,19.99,HRK,store_42,6735\npi_hr,19.99,eur,store_42,6735\npi_hr,1,xyz,store_42,6735\n");
    let run = Program::at(&sandbox, &["validate", "--format", "jsonl"]).run_with(csv).await;
    let expected = [(2, "valid"), (3, "invalid"), (4, "currency")];
    assert_eq!(told(&run), expected.map(|(line, word)| (line, word.to_owned())), "{run:?}");
    // What a checkout claims is new.
    let said = payproof::Currency::parse("hrk").unwrap_err().to_string();
    assert!(said.contains("withdrawn"), "{said}");
}

const STRIPE_PAYMENTS: &str = "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Description,Fee,PaymentIntent ID,\
                               Status,customer,store_id (metadata),order_id (metadata)\n";

#[tokio::test]
async fn the_payments_of_stripes_dashboard_are_read_by_their_intent() {
    // Its column `customer` holds what people are called, and is not the field of that name.
    let csv = "ch_1,2026-07-01 05:00:12,19.99,0.00,usd,true,\"Order 6735, two items\",0.88,pi_1,Paid,a@b.example,store_42,6735\n\
               ch_2,2026-07-01 05:00:12,\"1,560.00\",0.00,usd,true,,45.54,pi_large,Paid,,store_42,6735\n";
    let run = validate(&["--preset", "stripe-payments", "--decimal", "."], format!("{STRIPE_PAYMENTS}{csv}")).await;
    all_valid(&run, &[2, 3]);
    // Metadata of another name.
    let csv = format!("{STRIPE_PAYMENTS}{csv}").replace("order_id", "Bestellung");
    let options = ["--preset", "stripe-payments", "--decimal", ".", "--map", "order=Bestellung (metadata)"];
    all_valid(&validate(&options, csv).await, &[2, 3]);
}

#[tokio::test]
async fn a_stripe_export_without_intents_says_what_to_tick() {
    let csv =
        STRIPE_PAYMENTS.replace("PaymentIntent ID,", "") + "ch_1,x,19.99,0.00,usd,true,,0.88,Paid,,store_42,6735\n";
    let run = validate(&["--preset", "stripe-payments"], csv).await;
    let said = run.error();
    assert!(said.contains("lacks `PaymentIntent ID` (payment); tick it"), "{said}");
    assert!(said.contains("`id` is the charge, not the payment") && run.stdout.is_empty(), "{said}");
}

const STRIPE_BALANCE: &str = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,customer_facing_amount,\
                              customer_facing_currency,payment_intent_id,payment_metadata[store_id],payment_metadata[order_id]\n";

/// A row of the balance report, settled in euros.
fn row(category: &str, amount: &str, payment: &str) -> String {
    let currency = if amount.is_empty() { "" } else { "usd" };
    format!("txn_1,2026-07-01 05:00:12,eur,17.11,0.88,16.23,{category},{amount},{currency},{payment},store_42,6735\n")
}

#[tokio::test]
async fn the_rows_of_a_balance_report_are_summed_in_what_the_shopper_paid() {
    let rows = [
        row("charge", "20.00", "pi_1"),
        row("payout", "", ""),
        row("charge", "19.99", "pi_2"),
        row("refund", "-5.00", "pi_2"),
        row("partial_capture_reversal", "-0.01", "pi_1"),
        row("fee", "", ""),
        row("charge", "", "pi_3"),
        row("charge", "1560.00", "pi_large"),
        row("partial_capture_reversal", "", "pi_large"),
        row("charge", "19.99", ""),
        row("partial_capture_reversal", "5.00", "pi_early"),
    ];
    let run = validate(&["--preset", "stripe-balance"], format!("{STRIPE_BALANCE}{}", rows.concat())).await;
    let expected = [(2, "valid"), (4, "valid"), (8, "amount"), (9, "amount"), (11, "payment"), (12, "amount")];
    assert_eq!(told(&run), expected.map(|(line, word)| (line, word.to_owned())), "{run:?}");
    let unknown = run.rows()[2]["error"]["message"].as_str().unwrap().to_owned();
    assert!(unknown.contains("is unknown") && unknown.contains("`gross` may be in another currency"), "{unknown}");
    assert_eq!(run.rows()[2]["payment"], "pi_3");
    let account = "12 lines = 1 header + 2 results + 4 unusable + 0 blank + 2 continued + 3 of no payment";
    assert!(run.stderr.contains(account) && run.code() == 2, "{}", run.stderr);
    assert!(run.stdout.contains("the charge of this payment is not in the report"), "{run:?}");
    // The newest first, and what is taken back without a sign.
    let rows = row("partial_capture_reversal", "0.01", "pi_1") + &row("charge", "20.00", "pi_1");
    all_valid(&validate(&["--preset", "stripe-balance"], format!("{STRIPE_BALANCE}{rows}")).await, &[2]);
    let settled = STRIPE_BALANCE.replace("customer_facing_amount", "x");
    let run = validate(&["--preset", "stripe-balance"], settled).await;
    assert!(run.error().contains("lacks `customer_facing_amount` (amount); choose it"), "{run:?}");
    let rows = row("charge", "10.00", "pi_1") + &row("charge", "9.99", "pi_1").replace("usd", "cad");
    let run = validate(&["--preset", "stripe-balance"], format!("{STRIPE_BALANCE}{rows}")).await;
    assert_eq!(told(&run), [(2, "currency".to_owned())], "{run:?}");
}

#[tokio::test]
async fn the_item_rows_of_a_shopify_order_belong_to_it() {
    let header =
        "Name,Email,Financial Status,Paid at,Currency,Subtotal,Total,Created at,Lineitem name,Payment Reference\n";
    let order = |name: &str, payment: &str| {
        format!(
            "{name},a@b.example,paid,2026-07-01 05:00:12 +0200,USD,19.99,19.99,2026-07-01 05:00:10 +0200,Tea,{payment}\n"
        )
    };
    let item = |name: &str| format!("{name},a@b.example,,,,,,2026-07-01 05:00:10 +0200,Cake,\n");
    let csv = [
        header,
        &order("6735", "pi_1"),
        &item("6735"),
        &item("6735"),
        &item(""),
        &order("6735", "pi_2"),
        // Its order's own row is not there, or cannot be read.
        &item("6736"),
        "\"6735\"x,,,,,,,,,\n",
        &item("6735"),
        &order("6736", ""),
        // A row that cannot be used has its items all the same.
        &order("6737", "pi_3").replace("19.99", "\"19,99\""),
        &item("6737"),
    ];
    let run = validate(&["--preset", "shopify", "--tenant", "store_42"], csv.concat()).await;
    let expected =
        [(2, "valid"), (6, "valid"), (7, "payment"), (8, "order"), (9, "payment"), (10, "payment"), (11, "amount")];
    assert_eq!(told(&run), expected.map(|(line, word)| (line, word.to_owned())), "{run:?}");
    assert!(run.stdout.contains("invalid payment: is missing in `Payment Reference`"), "{run:?}");
    let account = "12 lines = 1 header + 2 results + 5 unusable + 0 blank + 4 continued";
    assert!(run.stderr.contains(account), "{}", run.stderr);
}
