//! What is read of pages, and where each leads.

use reqwest::header::{DATE, HeaderMap};
use serde_json::{Value, json};

use crate::payment::facts::PaymentStatus;
use crate::provider::{Kind, ListCursor, ListOf};

use super::*;

#[cfg(feature = "test-util")]
mod walks;

/// 1994-11-06, 08:49:37.
const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const NOW_SECONDS: u64 = 784_111_777;

fn stripe() -> Stripe {
    Stripe::builder("sk_live_x").base_url("http://localhost:1/stripe").own_account("acct_1").build().unwrap()
}

fn query(cursor: &str) -> ListQuery {
    let what = if cursor.starts_with("payment_intents") { ListOf::Payments } else { ListOf::Changes };
    ListQuery::new(what, 100, 200).unwrap().with_cursor(ListCursor::parse(cursor).unwrap())
}

/// The page at this place, with a body that says so much.
fn listed(cursor: &str, body: &Value) -> Result<Listed, ProviderError> {
    listed_at(&query(cursor), Some(NOW), body)
}

fn listed_at(query: &ListQuery, date: Option<&str>, body: &Value) -> Result<Listed, ProviderError> {
    let mut headers = HeaderMap::new();
    headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
    headers.insert("request-id", "req_1".parse().unwrap());
    let reply = HttpReply { status: 200, headers, body: body.to_string().into(), fault: None };
    stripe().read_page(query, &ListPlace::of(query)?, &reply, true)
}

fn page(entries: &[Value], has_more: bool) -> Value {
    json!({"object": "list", "url": "/v1/payment_intents", "data": entries, "has_more": has_more})
}

fn payment(id: &str, created: u64) -> Value {
    json!({"id": id, "object": "payment_intent", "status": "succeeded", "created": created, "latest_charge": {
        "id": "ch_1", "object": "charge", "status": "succeeded", "amount_refunded": 0}})
}

fn refund(id: &str, payment: &Value) -> Value {
    json!({"id": id, "object": "refund", "created": 150, "payment_intent": payment})
}

/// The items in short: a payment by its id, a change by its payment and time, and what cannot be read behind a question mark.
fn short(listed: &Listed) -> Vec<String> {
    let short = |item: &ListedItem| match item {
        ListedItem::Payment(facts) => facts.id.to_string(),
        ListedItem::Changed { payment, what, at } => format!("{payment} {}@{at}", what.as_str()),
        ListedItem::Unreadable { payment, .. } => format!("?{}", payment.as_ref().map_or("", PaymentId::as_str)),
    };
    listed.items.iter().map(short).collect()
}

fn next(listed: &Listed) -> Option<&str> {
    listed.next.as_ref().map(ListCursor::as_str)
}

#[test]
fn a_listed_payment_is_read_as_one_that_is_looked_up() {
    let page = listed("payment_intents:100:", &page(&[payment("pi_1", 150)], false)).unwrap();
    let [ListedItem::Payment(facts)] = &*page.items else { panic!("{page:?}") };
    assert_eq!((&*facts.id, &facts.status, facts.account.as_deref()), ("pi_1", &PaymentStatus::Paid, Some("acct_1")));
    assert_eq!((facts.as_of, facts.request_ids.last()), (Some(NOW_SECONDS), Some("req_1")));
    assert_eq!((next(&page), page.complete_since), (None, None));
}

#[test]
fn an_entry_that_cannot_be_read_is_told_and_its_page_goes_on() {
    let mut without_charge = payment("pi_2", 150);
    without_charge["latest_charge"] = json!("ch_2");
    let entries = [
        payment("pi_1", 150),
        without_charge,
        json!({"id": "seti_1", "object": "setup_intent"}),
        json!({"id": "../pi_4", "object": "payment_intent", "status": "canceled"}),
        json!({"object": "payment_intent"}),
        json!(["pi_5"]),
        json!(7),
        payment("pi_6", 150),
    ];
    let page = listed("payment_intents:100:", &page(&entries, false)).unwrap();
    assert_eq!(short(&page), ["pi_1", "?pi_2", "?seti_1", "?", "?", "?", "?", "pi_6"]);
}

#[test]
fn an_entry_that_cannot_be_read_is_of_its_own_time_or_of_that_between_its_neighbors() {
    let unnamed = |created: Value| json!({"object": "payment_intent", "created": created});
    let entries = [
        json!(7),
        payment("pi_1", 180),
        unnamed(json!(170)),
        json!(null),
        unnamed(json!("today")),
        payment("pi_2", 160),
        json!([]),
        // Of no window of these.
        unnamed(json!(99)),
        json!(8),
    ];
    let page = listed("payment_intents:100:", &page(&entries, false)).unwrap();
    let made = |item: &ListedItem| match item {
        ListedItem::Unreadable { made, .. } => Some(made.clone()),
        _ => None,
    };
    let made: Vec<_> = page.items.iter().filter_map(made).collect();
    assert_eq!(made, [180..200, 170..171, 160..171, 160..171, 99..161]);
}

#[test]
fn what_is_outside_of_the_window_or_came_before_is_left_out() {
    let entries = [("pi_0", 150), ("pi_1", 200), ("pi_2", 199), ("pi_2", 199), ("pi_3", 100), ("pi_4", 99)]
        .map(|(id, at)| payment(id, at));
    let page = listed("payment_intents:100:pi_0", &page(&entries, true)).unwrap();
    assert_eq!(
        (&*short(&page), next(&page)),
        (&["pi_2".to_owned(), "pi_3".to_owned()][..], Some("payment_intents:100:pi_4"))
    );
}

#[test]
fn a_page_that_leads_nowhere_is_an_error_and_no_endless_loop() {
    let unreadable = |page: Result<Listed, ProviderError>| page.unwrap_err().kind() == Kind::Unreadable;
    let (nameless, first) = (json!({"object": "payment_intent"}), payment("pi_1", 150));
    assert!(unreadable(listed("payment_intents:100:", &page(&[], true))));
    assert!(unreadable(listed("payment_intents:100:", &page(std::slice::from_ref(&nameless), true))));
    assert!(unreadable(listed("payment_intents:100:pi_1", &page(std::slice::from_ref(&first), true))));
    // What stands behind the last entry with an id comes again.
    let page = listed("payment_intents:100:", &page(&[nameless.clone(), first, nameless], true)).unwrap();
    assert_eq!(
        (&*short(&page), next(&page)),
        (&["?".to_owned(), "pi_1".to_owned()][..], Some("payment_intents:100:pi_1"))
    );
}

#[test]
fn what_is_no_list_is_unreadable() {
    for body in [
        json!({"object": "payment_intent", "data": [], "has_more": false}),
        json!({"object": "list", "data": []}),
        json!({"object": "list", "data": {}, "has_more": false}),
        json!(["list", [], false]),
    ] {
        assert_eq!(listed("payment_intents:100:", &body).unwrap_err().kind(), Kind::Unreadable, "{body}");
    }
}

#[test]
fn a_change_names_its_payment_or_is_passed_over() {
    let entries = [
        refund("re_1", &json!("pi_1")),
        refund("re_2", &json!({"id": "pi_2", "object": "payment_intent"})),
        refund("re_3", &Value::Null),
        refund("re_4", &json!("../pi_4")),
        json!({"id": "re_5", "object": "refund", "payment_intent": "pi_5"}),
    ];
    for (cursor, what, then) in
        [("refunds:100:", "refunded", "disputes:100:"), ("disputes:7:re_0", "disputed", "events:100:")]
    {
        let page = listed(cursor, &page(&entries, false)).unwrap();
        assert_eq!(
            (&*short(&page), next(&page)),
            (&[format!("pi_1 {what}@150"), format!("pi_2 {what}@150"), "?".to_owned(), "?".to_owned()][..], Some(then))
        );
    }
}

#[test]
fn an_event_tells_what_became_of_a_refund_or_a_dispute() {
    let event = |id: &str, kind: &str, object: Value| json!({"id": id, "object": "event", "type": kind, "created": 150, "data": {"object": object}});
    let refund = |payment: Value, status: &str| json!({"id": "re_1", "object": "refund", "payment_intent": payment, "status": status});
    let dispute = json!({"id": "du_1", "object": "dispute", "payment_intent": "pi_1", "status": "lost"});
    let entries = [
        event("evt_1", "charge.dispute.closed", dispute),
        event("evt_2", "refund.failed", refund(json!("pi_2"), "failed")),
        event("evt_3", "refund.updated", refund(json!("pi_3"), "canceled")),
        // Its bank's reference is known now; and its failure is told by the event of that.
        event("evt_4", "refund.updated", refund(json!("pi_4"), "succeeded")),
        event("evt_5", "refund.updated", refund(json!("pi_4"), "failed")),
        event("evt_6", "refund.failed", refund(Value::Null, "failed")),
    ];
    let page = listed("events:100:", &page(&entries, false)).unwrap();
    assert_eq!(short(&page), ["pi_1 dispute_closed@150", "pi_2 refund_failed@150", "pi_3 refund_failed@150"]);
}

#[test]
fn an_event_tells_of_a_payment_intent_of_this_account() {
    let event = |id: &str, subject: Value, account: Value| {
        let kind = if id == "evt_2" { "payment_intent.canceled" } else { "payment_intent.succeeded" };
        json!({"id": id, "object": "event", "type": kind, "created": 150, "account": account,
            "data": {"object": subject}})
    };
    let intent = |id: &str| json!({"id": id, "object": "payment_intent", "status": "succeeded"});
    let entries = [
        event("evt_1", intent("pi_1"), Value::Null),
        event("evt_2", intent("pi_2"), json!("acct_1")),
        event("evt_3", intent("pi_3"), json!("acct_2")),
        event("evt_4", json!({"id": "ch_1", "object": "charge"}), Value::Null),
        json!({"id": "evt_5", "object": "event", "created": 150}),
    ];
    let page = listed("events:100:", &page(&entries, false)).unwrap();
    assert_eq!(
        (&*short(&page), next(&page)),
        (&["pi_1 paid@150", "pi_2 canceled@150", "?"].map(str::to_owned)[..], None)
    );
}

#[test]
fn events_say_since_when_they_are_complete() {
    let kept_since = NOW_SECONDS - EVENTS_KEPT;
    let complete_since = |since, cursor: &str, date| {
        let query = ListQuery::new(ListOf::Changes, since, NOW_SECONDS).unwrap();
        let query = query.with_cursor(ListCursor::parse(cursor).unwrap());
        listed_at(&query, date, &page(&[], false)).unwrap().complete_since
    };
    assert_eq!(complete_since(kept_since, "events:100:", Some(NOW)), None);
    assert_eq!(complete_since(kept_since - 1, "events:100:", Some(NOW)), Some(kept_since));
    assert_eq!(complete_since(kept_since - 1, "refunds:100:", Some(NOW)), None);
    // Without the answer's time it is not known.
    assert_eq!(complete_since(kept_since, "events:100:", None), Some(NOW_SECONDS));
}

#[test]
fn each_list_is_asked_for_by_its_window() {
    let address = |cursor: &str, with_review| {
        let query = query(cursor);
        let address = stripe().address_of_page(&query.window(), &ListPlace::of(&query).unwrap(), with_review);
        address.as_str().strip_prefix("http://localhost:1/stripe/v1/").unwrap().to_owned()
    };
    let window = "created%5Bgte%5D=100&created%5Blt%5D=200";
    let charge = "expand%5B%5D=data.latest_charge";
    assert_eq!(
        address("payment_intents:100:", true),
        format!("payment_intents?{window}&limit=100&{charge}&expand%5B%5D=data.review")
    );
    assert_eq!(
        address("payment_intents:50:pi_1", false),
        format!("payment_intents?{window}&limit=50&{charge}&starting_after=pi_1")
    );
    assert_eq!(address("refunds:100:", true), format!("refunds?{window}&limit=100"));
    assert_eq!(address("disputes:100:dp_1", true), format!("disputes?{window}&limit=100&starting_after=dp_1"));
    assert_eq!(
        address("events:100:", true),
        format!(
            "events?{window}&limit=100&types%5B%5D=payment_intent.succeeded&types%5B%5D=payment_intent.canceled\
             &types%5B%5D=refund.failed&types%5B%5D=refund.updated&types%5B%5D=charge.dispute.closed"
        )
    );
}

#[test]
fn a_foreign_cursor_is_refused_for_good() {
    let first = |what| ListPlace::of(&ListQuery::new(what, 100, 200).unwrap().with_limit(1000)).unwrap();
    assert_eq!(first(ListOf::Payments).cursor().as_str(), "payment_intents:100:");
    assert_eq!(first(ListOf::Changes).cursor().as_str(), "refunds:100:");
    for (what, cursor) in [
        (ListOf::Payments, "refunds:100:re_1"),
        (ListOf::Changes, "payment_intents:100:pi_1"),
        (ListOf::Payments, "payment_intents:0:pi_1"),
        (ListOf::Payments, "payment_intents:101:pi_1"),
        (ListOf::Payments, "payment_intents:100"),
        (ListOf::Payments, "payment_intents:100:pi_1&expand[]=x"),
        (ListOf::Payments, "pi_1"),
    ] {
        let query = ListQuery::new(what, 100, 200).unwrap().with_cursor(ListCursor::parse(cursor).unwrap());
        let error = ListPlace::of(&query).unwrap_err();
        assert_eq!((error.code(), error.may_pass()), (Some("cursor"), false), "{cursor}");
    }
}

#[test]
fn a_page_that_is_too_large_is_halved_and_grows_again() {
    let place = |cursor: &str| ListPlace::of(&query(cursor)).unwrap();
    let mut halved = place("payment_intents:100:pi_1");
    let mut limits = Vec::new();
    while let Some(next) = halved.halved() {
        limits.push(next.limit);
        halved = next;
    }
    assert_eq!(limits, [50, 25, 12, 6, 3, 1]);
    assert_eq!(halved.after, PaymentId::parse("pi_1").ok());
    let grown =
        |limit, asked| ListPlace { limit, ..halved.clone() }.after(PaymentId::parse("pi_2").unwrap(), asked).limit;
    assert_eq!([grown(1, 100), grown(25, 100), grown(64, 100), grown(64, 80), grown(100, 1000)], [2, 50, 100, 80, 100]);
}
