//! What written data says of payments and of stock.

use super::super::origins::Origins;
use super::super::value::{Shape, Value};
use super::super::words::{has_word, plain_name, words};

/// Words of what is an order or a payment.
pub(super) const ORDERS: &[&str] = &[
    "order",
    "payment",
    "transaction",
    "invoice",
    "refund",
    "charge",
    "purchase",
    "subscription",
    "booking",
    "reservation",
    "payout",
    "sale",
    "wallet",
    "balance",
    "credit",
    "ledger",
    "enrollment",
    "donation",
    "deposit",
    "withdrawal",
    "giftcard",
    "checkout",
];
/// Words of what only belongs to an order or a payment.
pub(super) const BESIDES: &[&str] = &[
    "newsletter",
    "push",
    "email",
    "notification",
    "address",
    "review",
    "status",
    "setting",
    "config",
    "method",
    "token",
    "note",
    "comment",
    "message",
    "history",
];
/// Words of what is stock.
pub(super) const STOCK: &[&str] = &["stock", "inventory"];
/// Fields whose sums are money or stock.
const SUMMED: &[&str] = &[
    "stock",
    "inventory",
    "quantity",
    "countinstock",
    "available",
    "balance",
    "credits",
    "points",
    "credit",
    "stockquantity",
    "instock",
    "qty",
    "wallet",
    "availablequantity",
    "sold",
    "tokens",
    "seats",
    "availableseats",
    "amount",
    "coins",
];
const PAID_FLAGS: &[&str] = &[
    "ispaid",
    "paid",
    "payment",
    "paymentcompleted",
    "paymentdone",
    "paymentverified",
    "haspaid",
    "paymentreceived",
    "paidstatus",
    "paymentcomplete",
    "paymentsuccess",
    "isactive",
    "ispremium",
    "premium",
    "subscribed",
    "ispro",
    "purchased",
];
const PAID_STATES: &[&str] = &[
    "paid",
    "succeeded",
    "success",
    "successful",
    "captured",
    "completed",
    "complete",
    "paymentreceived",
    "confirmed",
    "processing",
    "active",
];
/// Fields that hold a payment's id, or what the provider is said to have said.
const PAYMENTS: &[&str] = &[
    "paymentintent",
    "paymentintentid",
    "paymentid",
    "stripepaymentid",
    "stripesessionid",
    "stripepaymentintentid",
    "checkoutsessionid",
    "transactionid",
    "txnid",
    "razorpaypaymentid",
    "paypalorderid",
    "paypalpaymentid",
    "paymentresult",
    "paymentinfo",
    "paymentreference",
    "paymentref",
    "chargeid",
    "stripechargeid",
    "paypalid",
    "paymentintentsid",
    "stripepaymentintent",
    "txref",
    "trxref",
    "captureid",
    "paypalcaptureid",
    "providerpaymentid",
    "intentid",
];
const STATES: &[&str] = &[
    "paymentstatus",
    "ispaid",
    "paid",
    "success",
    "paymentsuccess",
    "paymentstate",
    "redirectstatus",
    "resultcode",
    "paymentverified",
];
const DEEPEST: u32 = 6;

fn visit(value: &Value, levels: u32, found: &mut dyn FnMut(&str, &Value) -> bool) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return false };
    match &value.shape {
        Shape::Object(object) => {
            let fields: Vec<(String, Value)> =
                object.fields.borrow().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            fields.iter().any(|(name, value)| {
                name != "where"
                    && name != "include"
                    && name != "select"
                    && (found(name, value) || visit(value, levels, found))
            })
        }
        Shape::List(elements) => {
            let elements = elements.borrow().clone();
            elements.iter().any(|value| visit(value, levels, found))
        }
        _ => false,
    }
}

/// Whether the data says that something is paid.
pub(super) fn marks_paid(model: &str, data: &Value) -> bool {
    let payments = has_word(model, &["payment"]);
    visit(data, DEEPEST, &mut |name, value| {
        let plain = plain_name(name);
        if matches!(value.shape, Shape::Bool(true)) && PAID_FLAGS.contains(&plain.as_str()) {
            return !matches!(plain.as_str(), "isactive");
        }
        if plain == "paidat" && value.from.has(Origins::CLOCK) {
            return true;
        }
        let state = has_word(name, &["status", "state"]);
        if !state {
            return false;
        }
        let text = value.is_text().map(str::to_owned).or_else(|| enum_member(value)).map(|text| plain_name(&text));
        let about_payment = payments || has_word(name, &["payment"]);
        text.is_some_and(|text| {
            text == "paid"
                || text.ends_with("paid") && text != "unpaid"
                || about_payment && PAID_STATES.contains(&text.as_str())
                || matches!(text.as_str(), "succeeded" | "captured" | "paymentreceived")
        })
    })
}

fn enum_member(value: &Value) -> Option<String> {
    value.path().and_then(|path| path.rsplit('.').next()).map(str::to_owned)
}

/// Whether a field is changed by a sum, so that twice is not once.
pub(super) fn adds(data: &Value) -> bool {
    visit(data, DEEPEST, &mut |name, value| {
        matches!(name, "increment" | "decrement" | "$inc")
            || name.starts_with('+')
            || (is_summed(name) && is_sum(value))
    })
}

/// Whether that field is money or stock.
pub(super) fn adds_value(data: &Value) -> bool {
    visit(data, DEEPEST, &mut |name, value| {
        let summed = is_summed(name.trim_start_matches('+'));
        let inner = matches!(&value.shape, Shape::Object(object) if object.fields.borrow().keys().any(|key| key == "increment" || key == "decrement"));
        (summed && (inner || is_sum(value) || name.starts_with('+')))
            || (name == "$inc" && visit(value, DEEPEST, &mut |name, _| name.rsplit('.').next().is_some_and(is_summed)))
    })
}

/// `stock`, `credit_balance`, `walletBalance`.
fn is_summed(name: &str) -> bool {
    SUMMED.contains(&plain_name(name).as_str()) || has_word(name, &["stock", "inventory", "balance", "wallet"])
}

/// Whether orders are made beside what is written: `user.update({ data: { orders: { create: … } } })`.
pub(super) fn makes_orders(data: &Value) -> bool {
    visit(data, DEEPEST, &mut |name, value| {
        has_word(name, ORDERS)
            && !has_word(name, BESIDES)
            && matches!(&value.shape, Shape::Object(object) if object.fields.borrow().keys().any(|key| key == "create" || key == "createMany"))
    })
}

/// Whether that field is a balance, from which something may be paid.
pub(super) fn adds_to_balance(data: &Value) -> bool {
    visit(data, DEEPEST, &mut |name, _| has_word(name, &["balance", "wallet", "credit", "point", "coin", "token"]))
}

/// A stored number and something, or SQL that says so.
fn is_sum(value: &Value) -> bool {
    let sql = value.text.as_ref().is_some_and(|text| {
        text.contains("{} -") || text.contains("{} +") || text.contains(" - {}") || text.contains(" + {}")
    });
    sql || (matches!(value.shape, Shape::Unknown)
        && value.from.has(Origins::STORED)
        && (value.from.has(Origins::REQUEST) || value.from.has(Origins::LITERAL)))
}

/// A payment's id, or its state, that the request brought.
pub(super) fn payment_from_request(data: &Value, sum: &Value) -> Option<String> {
    let trusted = Origins::PROVIDER.and(Origins::EVENT).and(Origins::MAC);
    let mut found = None;
    visit(data, DEEPEST, &mut |name, value| {
        let whole = value.whole();
        if !whole.from.has(Origins::REQUEST) || whole.from.has(trusted.and(Origins::STORED)) {
            return false;
        }
        let plain = plain_name(name);
        let is_state = matches!(plain.as_str(), "paymentstatus" | "ispaid" | "paid");
        if PAYMENTS.contains(&plain.as_str()) || is_state {
            found = whole
                .places
                .as_ref()
                .and_then(|places| places.first())
                .map(ToString::to_string)
                .or_else(|| Some(name.to_owned()));
        }
        found.is_some()
    });
    if found.is_some() {
        return found;
    }
    let places = sum.places.as_ref()?;
    places.iter().find(|place| place.rsplit('.').next().is_some_and(is_payment)).map(ToString::to_string)
}

fn is_payment(name: &str) -> bool {
    let plain = plain_name(name);
    PAYMENTS.contains(&plain.as_str()) || name == "session_id"
}

/// Whether a place of the request says that something is paid.
pub(super) fn is_state(place: &str) -> bool {
    let last = place.rsplit('.').next().unwrap_or_default();
    STATES.contains(&plain_name(last).as_str()) || words(last).iter().any(|word| word == "success")
}
