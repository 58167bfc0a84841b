//! What is refused before the provider is asked, what makes a line unusable, and what a person has accepted.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use payproof::testing::sandbox::{Sandbox, SandboxPayment};

use crate::folder::Folder;
use crate::program::{Program, paid as paid_now, sandbox_with};

use super::{DAY, HEADER, HOUR, midnight, now, orders_in, paid, program, told};

/// A sandbox that counts what it is asked.
async fn sandbox() -> Sandbox {
    sandbox_with([paid_now("pi_1")]).await
}

#[tokio::test]
async fn orders_that_are_not_read_to_their_end_ask_the_provider_nothing() {
    let (sandbox, folder) = (sandbox().await, Folder::new("reconcile-unread"));
    let piped = ["--orders", "-", "--orders-as-of", "1h"];
    let text = format!("{HEADER}\n1,,19.99,usd,paid,{},,,\n", midnight(8));
    let of = folder.path().to_str().unwrap();
    for (arguments, input, said) in [
        (&["--orders", "-"][..], &*text, "standard input need --orders-as-of"),
        (&piped, "", "standard input lists no orders, and has no header row"),
        (&piped, "\n\n", "standard input lists no orders"),
        (&piped, "number,total\n1,2\n", "order"),
        (&["--orders", "/none/orders.csv"], "", "/none/orders.csv cannot be opened; look at --orders"),
        (&["--orders", of], "", "cannot be read; look at where it comes from"),
        (&["--orders", "-", "--orders-as-of", "2999-01-01"], &text, "lies in the future"),
        (&["--orders", "-", "--orders-as-of", "soon"], &text, "`--orders-as-of` must be a time such as"),
    ] {
        let run = program(&sandbox, arguments).run_with(input).await;
        assert_eq!((run.code(), &*run.stdout), (2, ""), "{arguments:?}: {run:?}");
        assert!(run.error().contains(said), "{said}: {}", run.stderr);
    }
    for (arguments, said) in [
        (&["--since", "1d"][..], "missing: --orders <FILE>"),
        (&["--orders", "x"], "missing: --since <TIME>"),
        (&["--orders", "-", "--orders-as-of", "1h", "--since", "yesterday"], "`--since` must be a time such as"),
        (&["--orders", "x", "--since", "1d", "--tz", "Nowhere/Land"], "`--tz <NAME>` must name a time zone, such as"),
        (&["--resume"], "missing: --work <DIR>"),
        (&["--resume", "--work", of, "--orders", "x"], "cannot be used with"),
    ] {
        let run = Program::at(&sandbox, &[&["reconcile"], arguments].concat()).run().await;
        assert_eq!((run.code(), &*run.stdout), (2, ""), "{arguments:?}: {run:?}");
        assert!(run.error().contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(sandbox.requests(), 0);
}

#[tokio::test]
async fn an_unusable_line_is_told_by_its_number_and_hides_no_other() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-unusable"));
    let sandbox = sandbox_with([paid("pi_1", "1", at), paid("pi_2", "2", at), paid("pi_3", "3", at)]).await;
    let orders = orders_in(
        folder.path(),
        &[
            format!("1,pi_1,19.99,usd,sent,{at},,,"),
            format!("\"2\u{7}\",pi_2,19.99,usd,paid,{at},,,"),
            format!("3,pi_3,19.99,usd,paid,{at},,,"),
            "4,,\"1,560\",usd,open,2026-07-01,,,".to_owned(),
        ],
    );
    let run = program(&sandbox, &["--orders", &orders]).run().await;
    assert_eq!(run.code(), 1);
    for said in ["line 2: state must be open, paid,", "line 3: order must not have control characters", "line 5: "] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert!(run.stderr.contains("5 lines = 1 header + 1 results + 3 unusable"), "{}", run.stderr);
    assert!(
        !run.stderr.contains("sent") && !run.stderr.contains("1,560") && !run.stderr.contains('\u{7}'),
        "{}",
        run.stderr
    );
    // A payment that such a line names is not told to be without an order.
    assert!(told(&run).iter().all(|[class, ..]| class == "unknown"), "{}", run.stdout);
}

#[tokio::test]
async fn orders_of_a_file_are_as_of_when_it_was_written() {
    let (written, folder) = (midnight(4), Folder::new("reconcile-written"));
    let minutes = |minutes: u64| written - minutes * 60;
    let sandbox =
        sandbox_with([paid("pi_1", "1", minutes(31)), paid("pi_2", "2", minutes(29)), paid("pi_3", "3", written + 60)])
            .await;
    let orders = orders_in(folder.path(), &[]);
    let set_written = |seconds: u64| {
        let file = fs::File::options().write(true).open(&orders).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    set_written(written);
    let lost = |payment: &str| ["paid_not_ordered", payment, &payment[3..]].map(str::to_owned);
    let run = program(&sandbox, &["--orders", &orders]).run().await;
    assert!(run.code() == 2 && run.error().contains("end it there, or name a work folder"), "{run:?}");
    let work = folder.path().join("work").display().to_string();
    let with_work = |more: &[&str]| program(&sandbox, &[&["--orders", &orders, "--work", &work], more].concat()).run();
    let run = with_work(&[]).await;
    assert_eq!(told(&run), [lost("pi_1")], "the shop may have heard of the others since: {}", run.stderr);
    let run = with_work(&["--too-recent", "10m"]).await;
    assert_eq!(told(&run), [lost("pi_1"), lost("pi_2")], "{}", run.stderr);
    let run = with_work(&["--orders-as-of", "1d"]).await;
    assert_eq!(told(&run), [lost("pi_1"), lost("pi_2"), lost("pi_3")], "{}", run.stderr);
    set_written(midnight(0) + 10 * DAY);
    let run = program(&sandbox, &["--orders", &orders]).run().await;
    assert!(run.code() == 2 && run.error().contains("lies in the future"), "{run:?}");
}

#[tokio::test]
async fn a_window_that_is_said_by_its_length_leaves_no_time_before_its_end_unseen() {
    let (folder, now) = (Folder::new("reconcile-length"), now());
    // A day ago and ten minutes: within the day that ends half an hour before now.
    let sandbox = sandbox_with([paid("pi_1", "1", now - DAY - 600), paid("pi_2", "2", now - DAY - HOUR)]).await;
    let orders = orders_in(folder.path(), &[]);
    for (since, window) in [("1d", &[][..]), ("86400s", &["--until", &*(now - 1800).to_string()])] {
        let arguments = ["reconcile", "--tenant", "store_42", "--orders", &orders, "--since", since];
        let run = Program::at(&sandbox, &[&arguments, window].concat()).run().await;
        assert_eq!(told(&run), [["paid_not_ordered", "pi_1", "1"]], "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_local_time_is_of_the_time_zone_that_is_named() {
    let folder = Folder::new("reconcile-zone");
    let (since, until) = ("2026-10-20T00:00:00Z", "2026-10-26T00:00:00Z");
    let sandbox = sandbox_with([]).await;
    // In UTC the first begins the window, the second is from before it, and the third comes twice.
    let lines = [
        "1,,19.99,usd,paid,2026-10-20 02:00:00,,,",
        "2,,19.99,usd,paid,2026-10-20 01:59:59,,,",
        "3,,19.99,usd,paid,2026-10-25 02:30:00,,,",
    ];
    let lines = lines.map(str::to_owned);
    let orders = orders_in(folder.path(), &lines);
    let window = ["reconcile", "--since", since, "--until", until, "--tenant", "store_42", "--orders", &orders];
    let run = Program::at(&sandbox, &[&window[..], &["--tz", "Europe/Berlin"]].concat()).run().await;
    assert!(run.stderr.contains("line 4: created comes twice or never"), "{}", run.stderr);
    let paid: Vec<_> = told(&run).into_iter().filter(|[class, ..]| class == "ordered_not_paid").collect();
    assert_eq!(paid, [["ordered_not_paid", "-", "1"]], "{}", run.stdout);
    let run = Program::at(&sandbox, &window).run().await;
    assert!(run.stderr.contains("3 unusable") && run.stderr.contains("--tz"), "{}", run.stderr);
}

#[tokio::test]
async fn what_a_person_has_accepted_does_not_count_until_it_is_over() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-known"));
    let sandbox =
        sandbox_with([paid("pi_1", "1", at), SandboxPayment::paid("pi_2", 1999, "usd").created(at + HOUR)]).await;
    let orders = orders_in(folder.path(), &[]);
    let known = folder.path().join("known.csv");
    let reconcile = async |text: &str| {
        fs::write(&known, format!("class,payment,order,reason,until\n{text}")).unwrap();
        program(&sandbox, &["--orders", &orders, "--known", known.to_str().unwrap()]).run().await
    };
    let both = "paid_not_ordered,pi_1,,a donation,\npaid_not_ordered,pi_2,,a test,2999-01-01\n";
    let run = reconcile(both).await;
    assert_eq!((run.code(), run.rows().len(), &run.rows()[0]["known"]), (0, 2, &"a donation".into()), "{run:?}");
    let run = reconcile(&both.replace("2999-01-01", "2026-01-01")).await;
    assert_eq!((run.code(), &run.rows()[1]["known"]), (1, &serde_json::Value::Null), "{run:?}");
    assert!(run.stderr.contains("1 of 2 are over, and count again"), "{}", run.stderr);
    // Another tenant's order of the same number is news, and so is another class of the same payment.
    fs::write(&known, "class,tenant,order,reason\npaid_not_ordered,store_43,1,x\n").unwrap();
    let of_another = program(&sandbox, &["--orders", &orders, "--known", known.to_str().unwrap()]).run().await;
    assert_eq!((of_another.code(), of_another.rows()[0]["known"].as_str()), (1, None), "{of_another:?}");
    assert_eq!(reconcile("differs,pi_1,,a donation,\n").await.code(), 1);
    let asked = sandbox.requests();
    for (line, said) in [
        ("lost,pi_1,,x,\n", "line 2: class must be one of: paid_not_ordered, "),
        ("pending,pi_1,,,\n", "line 2: reason is missing"),
        ("pending,,,x,\n", "line 2: names neither a payment nor an order"),
        ("pending,pi_1,,x,someday\n", "line 2: until must be a time"),
    ] {
        let run = reconcile(line).await;
        assert!(run.code() == 2 && run.error().contains(said), "{said}: {run:?}");
    }
    assert_eq!(sandbox.requests(), asked);
}
