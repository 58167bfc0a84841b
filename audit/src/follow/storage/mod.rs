//! Databases and stores: what is read, written and claimed there.

mod caches;
mod dynamo;
mod names;
mod paid;
mod statements;
mod unique;
mod verbs;
mod writes;

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::{Shape, Value, total};
use super::words::{has_word, last_part};
use crate::model::EventKind;

pub(crate) use self::unique::Schemas;

use self::names::{is_language, model_of, named_step, table_name, total_object};
use self::verbs::{CACHES, CHAIN, CREATES, DATABASES, DELETES, READS, SUMS, SURE, UPDATES};

/// A database's call.
struct Called<'c> {
    path: &'c str,
    verb: &'c str,
    model: String,
}

impl Follower<'_> {
    pub(crate) fn storage_call(
        &mut self,
        path: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Option<Value> {
        let (object, verb) = path.rsplit_once(['.', '#']).unwrap_or(("", path));
        if let Some(value) = self.statement_call(path, verb, function, given, site) {
            return Some(value);
        }
        if let Some(value) = self.transaction_call(object, verb, given, site) {
            return Some(value);
        }
        if site.constructs {
            return None;
        }
        if let Some(value) =
            self.dynamo_call(verb, given, site).or_else(|| self.procedure_call(path, verb, given, site))
        {
            return Some(value);
        }
        if function.from.has(Origins::STORED.and(Origins::WRITTEN)) && CHAIN.contains(&verb) {
            return Some(self.chained(path, verb, function, given, site));
        }
        if has_word(object, CACHES) && !has_word(object, &["prisma", "supabase"]) {
            return self.cache_call(verb, given, site);
        }
        let in_database = has_word(object, DATABASES);
        if let Some(value) = named_step(path, verb, given, in_database, site) {
            return Some(value);
        }
        let document = function.from.has(Origins::STORED) || object.ends_with("()");
        let is_model =
            last_part(object).starts_with(char::is_uppercase) && !object.contains("()") && !is_language(object);
        let stored_verb = matches!(
            verb,
            "save"
                | "remove"
                | "deleteOne"
                | "updateOne"
                | "update"
                | "destroy"
                | "delete"
                | "set"
                | "increment"
                | "decrement"
        );
        if !(in_database
            || SURE.contains(&verb)
            || is_model && verb != "add" && verb != "set"
            || document && stored_verb && function.from.has(Origins::STORED)
            || verb == "save" && (document || is_model))
        {
            return None;
        }
        let called = Called { path, verb, model: model_of(object, given, site) };
        self.verb_call(&called, function, given, site)
    }

    /// `supabase.rpc('create_order', data)`: what a function of the database does is in its name, or not known.
    fn procedure_call(&mut self, path: &str, verb: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let name = given.first().and_then(Value::is_text).filter(|_| verb == "rpc")?.to_owned();
        let data = given.get(1).cloned().unwrap_or_default();
        let valued = has_word(&name, paid::ORDERS) || has_word(&name, paid::STOCK);
        let change = if has_word(&name, &["increment", "decrement", "deduct", "reduce", "reserve"]) {
            Change::Sum
        } else if has_word(&name, &["create", "place", "insert", "add", "checkout"]) {
            Change::Create
        } else {
            self.emit(EventKind::Unfollowed { name, sees_request: false }, site.frame, site.span);
            return Some(Value { from: Origins::STORED, ..Value::foreign(&format!("{path}()")) });
        };
        valued.then(|| self.write(change, &name, path, &data, given, site))
    }

    /// `order::ActiveModel { … }.insert(&db)`.
    pub(crate) fn active_model_call(&mut self, object: &Value, verb: &str, site: &Site<'_>) -> Option<Value> {
        let Shape::Object(made) = &object.shape else { return None };
        let of = made.of.as_deref().filter(|of| of.ends_with("ActiveModel"))?;
        let change = match verb {
            "insert" | "save" => Change::Create,
            "update" => Change::Update,
            "delete" => Change::Delete,
            _ => return None,
        };
        let model = of.trim_end_matches("ActiveModel").trim_end_matches(['.', ':']);
        Some(self.write(change, last_part(model), "sea_orm.written", object, std::slice::from_ref(object), site))
    }

    fn verb_call(&mut self, called: &Called<'_>, function: &Value, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let verb = called.verb;
        if READS.contains(&verb) {
            return Some(self.read(called.path, &total(given), site));
        }
        // A document that was read before is not made once more.
        let read_before = verb == "save"
            && called.path.split(['.', '#']).any(|part| READS.contains(&part.split('(').next().unwrap_or_default()));
        let change = if read_before {
            Change::Update
        } else if CREATES.contains(&verb) || is_new(called.path, verb, given) {
            Change::Create
        } else if UPDATES.contains(&verb) {
            Change::Update
        } else if SUMS.contains(&verb) {
            Change::Sum
        } else if DELETES.contains(&verb) {
            Change::Delete
        } else {
            return None;
        };
        if verb == "create" && has_word(called.path, &["repository", "repo"]) && !called.path.contains("prisma") {
            // TypeORM makes an entity, and saves it later.
            return Some(Value { from: Origins::WRITTEN, ..total(given) }.called(called.path));
        }
        // Drizzle names the table first, and is given the values in a later step.
        let table_first =
            matches!(verb, "insert" | "update" | "insertInto" | "insert_into" | "updateTable" | "replace")
                && given.len() == 1
                && !has_word(called.path, &["repository", "repo", "from", "collection"])
                && !matches!(given.first()?.shape, Shape::Object(_) | Shape::List(_))
                && !given.first()?.from.has(Origins::REQUEST)
                && (matches!(given.first()?.shape, Shape::Foreign(_) | Shape::Text));
        if table_first && !called.path.contains("from(") && !called.path.contains("knex") {
            let table = table_name(given.first()?, site);
            let kind =
                if matches!(verb, "insert" | "insertInto" | "insert_into" | "replace") { "insert" } else { "update" };
            return Some(Value { from: Origins::WRITTEN, ..Value::foreign(&format!("db.pending-{kind}({table})")) });
        }
        let data = if let Some(path) = function.path().filter(|_| verb == "save" && given.is_empty()) {
            let object = path.rsplit_once('.').map(|(object, _)| object).unwrap_or_default();
            self.taken(object)
        } else {
            total_object(given)
        };
        Some(self.write(change, &called.model, called.path, &data, given, site))
    }

    /// `prisma.$transaction(async (tx) => …)`.
    fn transaction_call(&mut self, object: &str, verb: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        if !matches!(
            verb,
            "$transaction" | "transaction" | "withTransaction" | "runTransaction" | "begin" | "runInTransaction"
        ) {
            return None;
        }
        let database = Value::foreign(if object.is_empty() { "db" } else { object });
        let yielded = self.run_given(given, &[database], site);
        Some(
            yielded
                .or_else(|| given.first().filter(|first| matches!(first.shape, Shape::List(_))).cloned())
                .unwrap_or_else(|| Value::foreign("tx")),
        )
    }
}

/// Whether a document that has no id yet is set.
fn is_new(path: &str, verb: &str, given: &[Value]) -> bool {
    let of = |path: &str| path.contains("new_doc()");
    matches!(verb, "set" | "setDoc") && (of(path) || given.first().and_then(Value::path).is_some_and(of))
}

/// How data changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    Update,
    Sum,
    Delete,
}
