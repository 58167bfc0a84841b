//! What may stand on standard input, and what may not.

use serde_json::Value;

use crate::program::{Program, Run, paid, sandbox_with};

/// Three payments for these lines.
async fn validate(options: &[&str], input: impl AsRef<[u8]>) -> Run {
    let sandbox = sandbox_with(["pi_1", "pi_2", "pi_3"].map(paid)).await;
    let arguments = [&["validate", "--format", "jsonl"], options].concat();
    Program::at(&sandbox, &arguments).run_with(input).await
}

fn numbers(run: &Run) -> Vec<u64> {
    run.rows().iter().map(|row| row["line"].as_u64().unwrap()).collect()
}

fn field_and_message(row: &Value) -> (Option<&str>, &str) {
    (row["error"]["field"].as_str(), row["error"]["message"].as_str().unwrap_or_default())
}

const HEADER: &str = "payment,amount,currency,tenant,order\n";

fn json(payment: &str) -> String {
    format!(r#"{{"payment":"{payment}","amount":"19.99","currency":"usd","tenant":"store_42","order":"6735"}}"#)
}

#[tokio::test]
async fn csv_and_json_lines_are_told_apart() {
    let csv = format!("{HEADER}pi_1,19.99,usd,store_42,6735\npi_2,19.9900,USD,store_42,6735");
    let lines = format!("{}\n{}\n", json("pi_1"), json("pi_2"));
    for (input, first, account) in [(csv, 2, "3 lines = 1 header"), (lines, 1, "2 lines = 0 header")] {
        let run = validate(&[], &input).await;
        assert_eq!(run.code(), 0, "{run:?}");
        assert_eq!(numbers(&run), [first, first + 1]);
        assert!(run.stderr.contains(account) && run.stderr.contains(": 2 valid"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn byte_order_marks_line_ends_blank_lines_and_semicolons_do_not_matter() {
    for input in [
        format!("\u{feff}{}\r\n\r\n   \r\n{}", json("pi_1"), json("pi_2")),
        format!("\u{feff}{HEADER}\n\npi_1,19.99,usd,store_42,6735\r\n\npi_2,19.99,usd,store_42,6735\r\n\r\n"),
        "Payment;Amount; currency ;tenant;order\npi_1;19.99;usd;store_42;6735\npi_2;19.99;usd;store_42;6735".to_owned(),
    ] {
        let run = validate(&[], &input).await;
        assert_eq!((run.code(), run.rows().len()), (0, 2), "{run:?}");
    }
}

#[tokio::test]
async fn line_numbers_are_those_of_the_file() {
    let input =
        format!("\r\n{HEADER}\r\npi_1,19.99,usd,store_42,6735\r\n\"pi_2\",\"1\n2\",usd,store_42,6735\nx,x,x,x,x\n");
    let run = validate(&["--input", "csv"], input).await;
    assert_eq!(numbers(&run), [4, 5, 7], "{run:?}");
    let input = format!("\n{}\n\nnothing\n{}", json("pi_1"), json("pi_2"));
    let run = validate(&[], input).await;
    assert_eq!(numbers(&run), [2, 4, 5], "{run:?}");
}

#[tokio::test]
async fn a_bad_line_is_reported_with_field_and_rule_and_the_rest_goes_on() {
    let good = json("pi_1");
    for (bad, field, said) in [
        ("nonsense".to_owned(), None, "not JSON, from column 2"),
        (format!("{good} {good}"), None, "not JSON"),
        ("[1]".to_owned(), None, "one JSON object"),
        (good.replace("19.99", "-1"), Some("amount"), "more than zero"),
        (good.replace("\"19.99\"", "19.99"), Some("amount"), "must be a string"),
        (good.replace("\"19.99\"", "true"), Some("amount"), "must be a string"),
        (good.replace("\"store_42\"", "{}"), Some("tenant"), "must be a string"),
        (good.replace("usd", "dollars"), Some("currency"), ""),
        (good.replace(r#""currency":"usd","#, ""), Some("currency"), "is missing"),
        (good.replace(r#""tenant":"store_42","#, ""), Some("tenant"), "--tenant"),
        (good.replace("pi_1", "pi/1"), Some("payment"), "A-Z"),
        (good.replace('}', r#","amount":"1"}"#), Some("amount"), "twice"),
        (good.replace("order", "oder"), None, "`oder` is not one of"),
        (good.replace("usd", "jpy"), Some("amount"), "at most 0 decimals"),
    ] {
        let run = validate(&[], format!("{}\n{bad}\n{}\n", json("pi_2"), json("pi_3"))).await;
        assert_eq!(run.code(), 2, "{run:?}");
        let [before, row, after] = &*run.rows() else { panic!("{run:?}") };
        assert_eq!((&before["verdict"], &after["verdict"]), (&"valid".into(), &"valid".into()));
        let (named, message) = field_and_message(row);
        assert_eq!((named, row["line"].as_u64()), (field, Some(2)), "{row}");
        assert!(message.contains(said), "{message}");
        assert!(run.stderr.starts_with("error: line 2: ") && run.stderr.contains("1 unusable"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_line_with_one_bad_field_is_reported_with_its_payment() {
    let good = json("pi_1");
    let lines = [good.replace("\"19.99\"", "[]"), good.replace("order", "oder"), good.replace("usd", "dollars")];
    let csv = [HEADER.as_bytes(), b"pi_1,19.99,usd,st\xffre,1\n"].concat();
    for input in lines.into_iter().map(String::into_bytes).chain([csv]) {
        let run = validate(&[], input).await;
        let row = &run.rows()[0];
        assert_eq!((&row["payment"], &row["error"]["code"]), (&"pi_1".into(), &"invalid_intent".into()), "{run:?}");
    }
}

#[tokio::test]
async fn whole_numbers_are_exact_in_json() {
    let sandbox = sandbox_with([paid("pi_1").order("6735")]).await;
    let line = r#"{"payment":"pi_1","amount":20,"currency":"usd","tenant":"store_42","order":6735,"key":null}"#;
    let run = Program::at(&sandbox, &["validate"]).run_with(line).await;
    let row = &run.rows()[0];
    assert_eq!((&row["verdict"], &row["order"]), (&"invalid".into(), &"6735".into()), "{run:?}");
    let mut findings = row["findings"].as_array().unwrap().iter();
    assert!(findings.all(|finding| finding["code"].as_str().unwrap().starts_with("amount")), "{row}");
}

#[tokio::test]
async fn a_header_row_that_lacks_or_misspells_a_column_is_refused_before_anything_is_asked() {
    for (header, said) in [
        ("payment,amount\n", "lacks currency"),
        ("pi_1,19.99,usd,store_42,6735\n", "`pi_1` is not one of payment, amount"),
        ("payment,amount,currency,oder\n", "`oder` is not one of"),
        ("payment,amount,amount,currency\n", "`amount` is there twice"),
    ] {
        let run = validate(&[], format!("{header}pi_1,19.99,usd,store_42,6735\n")).await;
        assert_eq!((run.code(), &*run.stdout), (2, ""));
        assert!(run.error().contains(said), "{}", run.stderr);
    }
}

#[tokio::test]
async fn unknown_columns_are_passed_over_when_that_is_asked_for() {
    let csv = "note,payment,amount,currency,order\nlate,pi_1,19.99,usd,6735\n";
    let run = validate(&["--ignore-unknown", "--tenant", "store_42"], csv).await;
    assert_eq!(run.code(), 0, "{run:?}");
    let run = validate(&["--ignore-unknown"], json("pi_1").replace('}', r#","note":[1]}"#)).await;
    assert_eq!(run.code(), 0, "{run:?}");
}

#[tokio::test]
async fn csv_lines_of_another_shape_are_reported() {
    let input = format!("{HEADER}pi_1,19.99,usd\npi_2,19.99,usd,store_42,6735,more\npi_3,19.99,usd,store_42,6735\n");
    let run = validate(&[], input).await;
    let rows = run.rows();
    assert!(field_and_message(&rows[0]).1.contains("has 3 columns, and the header row has 5"), "{run:?}");
    assert!(field_and_message(&rows[1]).1.contains("has 6 columns"), "{run:?}");
    assert_eq!(rows[2]["verdict"], "valid");
    let run = validate(&[], [HEADER.as_bytes(), b"pi_1,19.99,usd,st\xffre,1\n"].concat()).await;
    let (rows, [field, told]) = (run.rows(), ["invalid tenant: must be UTF-8", "--encoding windows-1252"]);
    let (named, message) = field_and_message(&rows[0]);
    assert!(named == Some("tenant") && message.starts_with(field) && message.contains(told), "{message}");
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_passed_over() {
    let long = "x".repeat(10 << 20);
    let lines = format!("{}\n{{\"payment\":\"{long}\"}}\n{}\n", json("pi_1"), json("pi_2"));
    let csv = format!("{HEADER}pi_1,19.99,usd,store_42,6735\n{long},1,usd,s,1\npi_2,19.99,usd,store_42,6735\n");
    for input in [lines, csv] {
        let run = validate(&[], input).await;
        let [before, row, after] = &*run.rows() else { panic!("{run:?}") };
        assert_eq!((&before["verdict"], &after["verdict"]), (&"valid".into(), &"valid".into()));
        assert!(field_and_message(row).1.contains("longer than 65536 bytes"), "{row}");
        assert_eq!(run.code(), 2);
    }
}

#[tokio::test]
async fn a_quote_that_is_never_closed_costs_no_memory_and_is_reported() {
    // No line of it has as many columns as the header row, so that the quote could be closed on each of them.
    let input = format!("{HEADER}\"pi_1,19.99,usd\n{}{GOOD}", "pi_2,19.99,usd\n".repeat(10_000));
    let run = validate(&[], input).await;
    let rows = run.rows();
    assert_eq!((rows.len(), run.code()), (10_002, 2), "{}", run.stderr);
    let (field, message) = field_and_message(&rows[0]);
    assert_eq!((rows[0]["line"].as_u64(), field), (Some(2), Some("payment")));
    assert!(message.contains("column 1 `payment` is not closed") && message.contains("65536 bytes"), "{message}");
    assert_eq!((rows[10_001]["line"].as_u64(), &rows[10_001]["verdict"]), (Some(10_003), &"valid".into()));
}

const GOOD: &str = "pi_3,19.99,usd,store_42,6735\n";

/// The line of each unusable one, its field, and what is said of it.
fn unusable(run: &Run) -> Vec<(u64, Option<String>, String)> {
    let rows = run.rows();
    let rows = rows.iter().filter(|row| row["error"]["code"] == "invalid_intent");
    let told = rows.map(|row| (row["line"].as_u64().unwrap(), field_and_message(row)));
    told.map(|(line, (field, message))| (line, field.map(str::to_owned), message.to_owned())).collect()
}

#[tokio::test]
async fn a_stray_quote_in_an_ignored_last_column_costs_its_own_line_only() {
    let header = "payment,amount,currency,tenant,order,note\n";
    let line = |payment: &str, note: &str| format!("{payment},19.99,usd,store_42,6735,{note}\n");
    // pi_9 does not exist, which must not be passed over.
    let [first, fake, last] = [line("pi_1", "fine"), line("pi_9", "fine"), line("pi_3", "fine")];
    let several = line("pi_2", "\"two\nlines\"");
    for (stray, said) in [
        (line("pi_2", "\"late"), "line 4 could be one of its own"),
        (line("pi_2", "\""), "line 4 could be one of its own"),
        (line("pi_2", "\"a\" b"), "is closed, and text follows"),
        (line("pi_2", "\"\"a\""), "is closed, and text follows"),
    ] {
        let input = format!("{header}{first}{stray}{fake}{several}{last}");
        let run = validate(&["--ignore-unknown"], input).await;
        assert_eq!((run.code(), numbers(&run)), (2, vec![2, 3, 4, 5, 7]), "{run:?}");
        let [(3, None, message)] = &*unusable(&run) else { panic!("{run:?}") };
        assert!(message.starts_with("the quote that opens column 6 `note` ") && message.contains(said), "{message}");
        let verdicts: Vec<_> = run.rows().iter().map(|row| row["verdict"].as_str().map(str::to_owned)).collect();
        let [valid, invalid] = ["valid", "invalid"].map(|verdict| Some(verdict.to_owned()));
        assert_eq!(verdicts, [valid.clone(), None, invalid, valid.clone(), valid]);
        let account = "7 lines = 1 header + 4 results + 1 unusable + 0 blank + 1 continued";
        assert!(run.stderr.contains(account), "{}", run.stderr);
    }
    // At the end of the input nothing follows that could be a line of its own.
    let run = validate(&["--ignore-unknown"], format!("{header}{first}{}", line("pi_2", "\"late"))).await;
    let [(3, None, message)] = &*unusable(&run) else { panic!("{run:?}") };
    assert!(message.contains("not closed by the end of the input") && run.code() == 2, "{message}");
}

#[tokio::test]
async fn a_second_stray_quote_does_not_hide_the_lines_before_it() {
    let header = "payment,amount,currency,tenant,order,note\n";
    let line = |payment: &str, note: &str| format!("{payment},19.99,usd,store_42,6735,{note}\n");
    let lines = [line("pi_1", "\"late"), line("pi_9", "fine"), line("pi_2", "\""), line("pi_3", "fine")].concat();
    let run = validate(&["--ignore-unknown"], format!("{header}{lines}")).await;
    let told: Vec<u64> = unusable(&run).into_iter().map(|(line, ..)| line).collect();
    assert_eq!((run.code(), numbers(&run), told), (2, vec![2, 3, 4, 5], vec![2, 4]), "{run:?}");
    assert_eq!((&run.rows()[1]["verdict"], &run.rows()[3]["verdict"]), (&"invalid".into(), &"valid".into()));
}

#[tokio::test]
async fn a_quote_that_is_not_closed_in_the_header_row_is_refused() {
    let header = "payment,amount,currency,tenant,order,\"note\n";
    let line = "pi_1,19.99,usd,store_42,6735,late\"\n";
    let run = validate(&["--ignore-unknown"], format!("{header}{line}{line}")).await;
    assert_eq!((run.code(), &*run.stdout), (2, ""));
    assert!(run.error().contains("the header row") && run.error().contains("column 6"), "{}", run.stderr);
}

#[tokio::test]
async fn lines_may_end_with_cr_alone() {
    let csv = format!("\r{HEADER}\npi_1,19.99,usd,store_42,6735\n\"pi_2\",\"1\n2\",usd,store_42,6735\n{GOOD}");
    for end in ["\r", "\r\n", "\n"] {
        let run = validate(&["--input", "csv"], csv.replace(['\r', '\n'], end)).await;
        assert_eq!((numbers(&run), run.code()), (vec![4, 5, 7], 2), "{end:?}: {run:?}");
        let account = "7 lines = 1 header + 2 results + 1 unusable + 2 blank + 1 continued";
        assert!(run.stderr.contains(account), "{end:?}: {}", run.stderr);
    }
    let lines = format!("\n{}\n\nnothing\n{}", json("pi_1"), json("pi_2"));
    for end in ["\r", "\r\n", "\n"] {
        let run = validate(&[], lines.replace('\n', end)).await;
        assert_eq!((numbers(&run), run.code()), (vec![2, 4, 5], 2), "{end:?}: {run:?}");
        let account = "5 lines = 0 header + 2 results + 1 unusable + 2 blank + 0 continued";
        assert!(run.stderr.contains(account), "{end:?}: {}", run.stderr);
    }
}

#[tokio::test]
async fn fields_over_several_lines_are_one_record() {
    let input = format!("{HEADER}\"pi_1\",19.99,usd,store_42,\"67\r\n35\"\n{GOOD}");
    let run = validate(&[], input).await;
    assert_eq!(numbers(&run), [2, 4], "{run:?}");
    assert!(field_and_message(&run.rows()[0]).1.starts_with("invalid order: "), "{run:?}");
}

#[tokio::test]
async fn an_empty_input_says_so() {
    for input in ["", "\n\n", "\u{feff}", HEADER, "\u{feff}\r\n", "sep=;", "sep=;\r\n\r\n", ",,,\n , \n"] {
        let run = validate(&[], input).await;
        assert_eq!((run.code(), &*run.stdout), (2, ""), "{input:?}");
        assert!(run.error().contains("lists no payments"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_key_with_other_claims_is_reused_within_a_run_too() {
    let line = |payment| json(payment).replace('}', r#","key":"cart 7"}"#);
    let run =
        validate(&["--concurrency", "1"], format!("{}\n{}\n{}\n", line("pi_1"), line("pi_2"), line("pi_1"))).await;
    let rows = run.rows();
    assert_eq!((&rows[0]["verdict"], &rows[2]["verdict"]), (&"valid".into(), &"valid".into()), "{run:?}");
    assert_eq!(rows[1]["error"]["code"], "key_reused");
    assert!(!run.stdout.contains("cart 7") && !run.stderr.contains("cart 7"));
}
