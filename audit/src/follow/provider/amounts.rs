//! Amounts and currencies that the provider is told.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::origins::Origins;
use super::super::value::{Shape, Value};
use super::super::words::plain_name;
use crate::model::RequestAmount;

/// Fields that hold an amount or a currency.
const FIELDS: &[&str] = &[
    "amount",
    "unitamount",
    "unitamountdecimal",
    "currency",
    "currencycode",
    "value",
    "transactionamount",
    "unitprice",
    "amountmoney",
    "grossamount",
    "amountincents",
    "totalamount",
    "price",
    "total",
    "orderamount",
];
/// Objects whose `value` and `price` are no amounts of money to be paid.
const NOT_HERE: &[&str] =
    &["metadata", "customfields", "phone", "productdata", "customerdetails", "paymentmethodoptions", "shipping"];
/// Whole parts that hold amounts.
const PARTS: &[&str] = &["lineitems", "items", "purchaseunits", "pricedata", "amount"];
const DEEPEST: u32 = 8;

/// The worst amount in what the provider is given.
pub(super) fn of(given: &[Value], compared: &BTreeSet<Rc<str>>) -> Option<RequestAmount> {
    let mut found = Vec::new();
    for value in given {
        if let Shape::Unknown = value.shape
            && let Some(amount) = grade("parameters", value, compared)
            && amount.places.iter().any(|place| place == "body" || place == "form")
        {
            found.push(amount);
        }
        search(value, compared, &mut found, DEEPEST);
    }
    found.sort_by_key(|amount| (!amount.whole, amount.unfollowed.is_some()));
    found.into_iter().next()
}

fn search(value: &Value, compared: &BTreeSet<Rc<str>>, found: &mut Vec<RequestAmount>, levels: u32) {
    let Some(levels) = levels.checked_sub(1) else { return };
    match &value.shape {
        Shape::Object(object) => {
            for (name, value) in object.fields.borrow().iter() {
                named(name, value, compared, found, levels);
            }
            if let Some(rest) = &*object.rest.borrow() {
                search(rest, compared, found, levels);
            }
        }
        Shape::List(elements) => {
            let elements = elements.borrow();
            // A pair of a form: `("line_items[0][price_data][unit_amount]", amount)`.
            if let [name, value] = elements.as_slice()
                && let Some(name) = name.is_text()
            {
                let mut parts = name.split(['[', ']']).filter(|part| !part.is_empty());
                if !parts.clone().any(|part| NOT_HERE.contains(&plain_name(part).as_str())) {
                    named(parts.next_back().unwrap_or_default(), value, compared, found, levels);
                }
                return;
            }
            for value in elements.iter() {
                search(value, compared, found, levels);
            }
        }
        _ => {}
    }
}

fn named(name: &str, value: &Value, compared: &BTreeSet<Rc<str>>, found: &mut Vec<RequestAmount>, levels: u32) {
    let plain = plain_name(name);
    if NOT_HERE.contains(&plain.as_str()) {
        return;
    }
    // The id of a price of the provider's is no amount.
    let is_amount = FIELDS.contains(&plain.as_str()) && !is_price_id(name, value);
    let is_part = PARTS.contains(&plain.as_str());
    if (is_amount || is_part) && !matches!(value.shape, Shape::Object(_) | Shape::List(_)) {
        found.extend(grade(name, value, compared));
    }
    search(value, compared, found, levels);
}

fn is_price_id(name: &str, value: &Value) -> bool {
    let last = plain_name(value.last_name());
    name == "price"
        && (last.ends_with("id")
            || value.from.has(Origins::SETTING)
            || !(last.contains("amount") || last == "price" || last == "unitprice"))
}

/// How much of an amount is the request's.
fn grade(field: &str, value: &Value, compared: &BTreeSet<Rc<str>>) -> Option<RequestAmount> {
    let whole = value.whole();
    if !whole.from.has(Origins::REQUEST) {
        return None;
    }
    let places: Vec<String> = whole
        .places
        .iter()
        .flat_map(|places| places.iter())
        .filter(|place| !compared.contains(*place))
        .map(ToString::to_string)
        .collect();
    if places.is_empty() {
        return None;
    }
    let trusted =
        Origins::STORED.and(Origins::PROVIDER).and(Origins::SESSION).and(Origins::EVENT).and(Origins::WRITTEN);
    let whole_request = !whole.from.has(trusted);
    let unfollowed = whole.unfollowed.as_ref().filter(|_| whole.from.has(Origins::UNKNOWN)).map(ToString::to_string);
    Some(RequestAmount { field: field.to_owned(), places, whole: whole_request, unfollowed })
}
