//! Each class of discrepancies, as a shop would have it, and none where all fits.

use payproof::store::RedisStore;
use payproof::testing::sandbox::SandboxPayment;
use payproof::{Currency, Money, PaymentIntent, Stripe, Validator, Verdict};

use crate::folder::Folder;
use crate::program::{ACCOUNT, sandbox_with, secret_key};
use crate::redis_server::RedisServer;

use super::{HOUR, midnight, orders_in, paid, program, told};

/// The payments, the lines of the orders, and what is to be told of them.
struct Planted {
    payments: Vec<SandboxPayment>,
    orders: Vec<String>,
    told: Vec<[&'static str; 3]>,
}

fn planted() -> Planted {
    let at = midnight(8);
    let (paid_at, shipped) = (at + 60, at + 6 * HOUR);
    let order = |order: &str, payment: &str, state: &str| {
        let shipped = if state == "shipped" { shipped.to_string() } else { String::new() };
        let cancelled = if state == "cancelled" { (at + HOUR).to_string() } else { String::new() };
        format!("{order},{payment},19.99,usd,{state},{at},{paid_at},{shipped},{cancelled}")
    };
    let before = at + HOUR;
    Planted {
        payments: vec![
            paid("pi_fits", "1", at),
            paid("pi_lost", "2", at),
            paid("pi_unmarked", "3", at),
            SandboxPayment::paid("pi_less", 999, "usd").tenant("store_42").order("5").created(at),
            paid("pi_first", "6", at),
            paid("pi_second", "6", at + 5),
            paid("pi_shared", "7", at),
            paid("pi_kept", "9", at),
            paid("pi_refunded", "10", at).refunded(1999).refunded_at(before),
            paid("pi_disputed", "11", at).dispute("needs_response", "chargeback").disputed_at(before),
            SandboxPayment::processing("pi_waits", 1999, "usd").tenant("store_42").order("13").created(at),
        ],
        orders: vec![
            order("1", "pi_fits", "paid"),
            order("3", "pi_unmarked", "open"),
            order("4", "pi_none", "paid"),
            order("5", "pi_less", "paid"),
            order("6", "pi_first", "paid"),
            order("7", "pi_shared", "paid"),
            order("8", "pi_shared", "paid"),
            order("9", "pi_kept", "cancelled"),
            order("10", "pi_refunded", "shipped"),
            order("11", "pi_disputed", "shipped"),
            order("13", "pi_waits", "open"),
        ],
        told: vec![
            ["paid_not_ordered", "pi_lost", "2"],
            ["order_unmarked", "pi_unmarked", "3"],
            ["ordered_not_paid", "pi_none", "4"],
            ["differs", "pi_less", "5"],
            ["order_paid_twice", "pi_second", "6"],
            ["payment_used_twice", "pi_shared", "8"],
            ["cancelled_but_paid", "pi_kept", "9"],
            ["refunded_but_shipped", "pi_refunded", "10"],
            ["disputed_but_shipped", "pi_disputed", "11"],
            ["pending", "pi_waits", "13"],
        ],
    }
}

#[tokio::test]
async fn each_class_is_told_and_nothing_else() {
    let (planted, folder) = (planted(), Folder::new("reconcile-classes"));
    let sandbox = sandbox_with(planted.payments).await;
    let orders = orders_in(folder.path(), &planted.orders);
    let run = program(&sandbox, &["--orders", &orders]).run().await;
    assert_eq!(told(&run), planted.told, "{}", run.stderr);
    assert_eq!(run.code(), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("found: 11 orders as of "), "{}", run.stderr);
    assert!(
        run.stderr.ends_with("12 lines = 1 header + 11 results + 0 unusable + 0 blank + 0 continued\n"),
        "{}",
        run.stderr
    );
    let lost = &run.rows()[0];
    assert_eq!(
        (&lost["amount"], &lost["currency"], &lost["tenant"]),
        (&"19.99".into(), &"USD".into(), &"store_42".into())
    );

    // What cannot be found out of one order is told, and the next window may begin.
    let mut orders = planted.orders.clone();
    orders.push(format!("14,ch_14,19.99,usd,paid,{},,,", midnight(8)));
    let run = program(&sandbox, &["--orders", &orders_in(folder.path(), &orders)]).run().await;
    assert_eq!((run.code(), told(&run).last().unwrap()[0].as_str()), (1, "unknown"), "{run:?}");
}

#[tokio::test]
async fn a_shop_whose_orders_fit_exits_with_zero_and_prints_nothing() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-fits"));
    let sandbox = sandbox_with([paid("pi_1", "1", at), paid("pi_2", "2", at)]).await;
    let lines = [format!("1,pi_1,19.99,usd,paid,{at},,,"), format!("2,,19.99,usd,shipped,{at},,,")];
    let orders = orders_in(folder.path(), &lines);
    let run = program(&sandbox, &["--orders", &orders, "--quiet"]).run().await;
    assert_eq!((run.code(), &*run.stdout, &*run.stderr), (0, "", ""));
}

#[tokio::test]
async fn a_payment_that_was_redeemed_for_no_paid_order_is_told_with_the_store() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-redeemed"));
    let (sandbox, redis) = (sandbox_with([paid("pi_1", "1", at)]).await, RedisServer::start().await);
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).own_account(ACCOUNT).build().unwrap();
    let service = Validator::builder(stripe).store(RedisStore::new(redis.url()).unwrap()).build().unwrap();
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let claim = PaymentIntent::new("store_42", "pi_1", money).unwrap().with_order("1").unwrap();
    let Verdict::Valid(proof) = service.validate(claim).await.unwrap().into_verdict() else { panic!() };
    let _ = service.redeem(proof).await.unwrap();
    let orders = orders_in(folder.path(), &[]);
    for (more, class) in [
        (&[][..], "redeemed_without_order"),
        (&["--redemptions", "all"], "redeemed_without_order"),
        (&["--redemptions", "no"], "paid_not_ordered"),
        (&["--no-store"], "paid_not_ordered"),
    ] {
        let program = program(&sandbox, &[&["--orders", &orders][..], more].concat());
        let run = program.env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT).run().await;
        assert_eq!(told(&run), [[class, "pi_1", "1"]], "{more:?}: {}", run.stderr);
    }
}
