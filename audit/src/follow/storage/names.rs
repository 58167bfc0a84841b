//! What is written: tables and documents by the names in a path, and the data that is given.

use super::super::calls::Site;
use super::super::value::{Shape, Value, total};
use super::super::words::{has_word, last_part, plain_name};
use super::verbs::{CHAIN, DATABASES, NAMING, READS};

/// `supabase.from('orders')`, `knex('orders')`, `db.collection('orders').doc(id)`.
pub(super) fn named_step(path: &str, verb: &str, given: &[Value], in_database: bool, site: &Site<'_>) -> Option<Value> {
    let first = given.first();
    let text = first.and_then(Value::is_text).map(str::to_owned);
    if NAMING.contains(&verb) && (in_database || has_word(&site.name, DATABASES) || text.is_some()) {
        let inner = first.and_then(Value::path).and_then(last_named).filter(|_| verb == "doc");
        let name = if let Some(inner) = inner {
            inner
        } else if verb == "doc" {
            String::new()
        } else {
            text.clone().unwrap_or_else(|| first.map(|first| table_name(first, site)).unwrap_or_default())
        };
        // Firestore's `doc(db, 'orders', id)`.
        let second = given
            .get(1)
            .and_then(Value::is_text)
            .filter(|_| name.is_empty() || has_word(&name, &["db", "firestore", "database"]));
        let name = second.unwrap_or(&name);
        if verb == "doc" && given.len() < 2 && text.is_none() && first.is_none_or(|first| first.path().is_some()) {
            // Without an id of its own it is a new one.
            let made = if name.is_empty() { String::new() } else { format!("({name})") };
            return Some(Value::foreign(&format!("{path}{made}.new_doc()")));
        }
        return Some(Value::foreign(&format!("{path}({})", name.replace('.', "_"))));
    }
    let maker = has_word(verb, &["knex", "trx", "db", "model"])
        || path.trim_end_matches("()").ends_with("#default") && has_word(path, &["knex"]);
    if maker
        && let Some(text) = text
        && !text.contains(' ')
    {
        return Some(Value::foreign(&format!("db({})", text.replace('.', "_"))));
    }
    None
}

/// What is written: the name in brackets, or the one before the verb.
pub(super) fn model_of(object: &str, given: &[Value], site: &Site<'_>) -> String {
    // Payload's and Strapi's `create({ collection: 'orders' })`, Sanity's `create({ _type: 'order' })`.
    for name in ["collection", "_type", "table"] {
        if let Some(text) =
            given.first().and_then(|first| first.field(name)).and_then(|value| value.is_text().map(str::to_owned))
        {
            return text;
        }
    }
    if let Some(text) = given.first().and_then(Value::is_text).filter(|text| text.starts_with("api::")) {
        return text.rsplit('.').next().unwrap_or_default().to_owned();
    }
    // Appwrite's `createDocument(database, 'orders', id, data)`.
    if has_word(object, &["databases", "appwrite"])
        && let Some(second) = given.get(1)
    {
        return second.is_text().map_or_else(|| second.last_name().to_owned(), str::to_owned);
    }
    if let Some(named) = last_named(object) {
        return named;
    }
    // `addDoc(collection(db, 'orders'), data)`, `batch.set(reference, data)`, `manager.save(order)`.
    let first = given.first();
    if let Some(named) = first.and_then(Value::path).filter(|path| has_word(path, NAMED_BY)).and_then(last_named) {
        return named;
    }
    if let Some(class) = first.and_then(class_name) {
        return class;
    }
    // Steps of a query before the verb are no names.
    let is_step = |name: &&str| {
        name.strip_suffix("()")
            .is_some_and(|name| name == "query" || name != "order" && (READS.contains(&name) || CHAIN.contains(&name)))
    };
    let last = object.split(['.', '#']).rfind(|name| !is_step(name)).unwrap_or_default();
    let last = last.trim_end_matches("()").trim_start_matches('?');
    if matches!(last, "default" | "manager" | "em" | "entityManager" | "db" | "" | "databases") {
        return site.written.first().cloned().unwrap_or_default();
    }
    last.to_owned()
}

/// Steps whose brackets hold a name.
const NAMED_BY: &[&str] = &["collection", "doc", "ref", "new_doc", "from"];

/// What stands in the last brackets of a path that are not empty.
fn last_named(path: &str) -> Option<String> {
    let mut rest = path;
    let mut named = None;
    while let Some((_, inner)) = rest.split_once('(') {
        let (inside, after) = inner.split_once(')').unwrap_or((inner, ""));
        if !inside.is_empty() {
            named = Some(inside.to_owned());
        }
        rest = after;
    }
    named
}

/// The class of what is saved.
fn class_name(value: &Value) -> Option<String> {
    let class = match &value.shape {
        Shape::Class(class) => class,
        Shape::Object(object) => object.class.as_ref()?,
        _ => return None,
    };
    class.module.facts.classes.get(class.id).map(|class| class.name.clone())
}

pub(super) fn table_name(table: &Value, site: &Site<'_>) -> String {
    if let Some(text) = table.is_text() {
        return text.to_owned();
    }
    // Diesel's `orders::table`, and what is asked of it.
    if let Some((table, _)) = site.written.first().and_then(|name| name.split_once(".table")) {
        return last_part(table).trim_end_matches("::").to_owned();
    }
    site.written.first().map(|name| name.rsplit('.').next().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// The data of a write: all that is given in one object.
pub(super) fn total_object(given: &[Value]) -> Value {
    let objects: Vec<&Value> =
        given.iter().filter(|value| matches!(value.shape, Shape::Object(_) | Shape::List(_))).collect();
    match objects.as_slice() {
        [] => total(given),
        [only] => (*only).clone(),
        [first, second, ..] => {
            let fields = [("where".to_owned(), (*first).clone()), ("data".to_owned(), (*second).clone())];
            Value::object(fields.into_iter().collect())
        }
    }
}

pub(super) fn is_language(object: &str) -> bool {
    let last = plain_name(last_part(object));
    [
        "object",
        "array",
        "math",
        "json",
        "promise",
        "number",
        "string",
        "date",
        "response",
        "nextresponse",
        "reflect",
        "symbol",
        "buffer",
        "url",
        "error",
        "map",
        "set",
        "console",
        "intl",
        "headers",
        "formdata",
        "request",
    ]
    .contains(&last.as_str())
}
