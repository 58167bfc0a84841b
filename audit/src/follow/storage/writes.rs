//! Reads and writes, and the steps of a query after its verb.

use super::super::Follower;
use super::super::calls::Site;
use super::super::origins::Origins;
use super::super::value::{Value, total};
use super::super::words::has_word;
use super::Change;
use super::names::total_object;
use super::paid;
use crate::model::{Claimed, Effect, EventKind};

impl Follower<'_> {
    /// `.values(…)` and `.set(…)` of Drizzle and Kysely, conflicts, and conditions of a query.
    pub(super) fn chained(
        &mut self,
        path: &str,
        verb: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Value {
        let sum = total(given);
        if let Some(rest) = path.split("pending-").nth(1) {
            let kind = if rest.starts_with("insert") { Change::Create } else { Change::Update };
            let table =
                rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(table, _)| table.to_owned());
            if matches!(verb, "values" | "set") {
                let data = total_object(given);
                return self.write(kind, &table.unwrap_or_default(), "db.written", &data, given, site);
            }
            return function.clone();
        }
        if matches!(verb, "onConflictDoNothing" | "onConflict" | "ignore" | "doNothing") {
            self.prove_last_claim();
        }
        let mut value = function.clone().called(path);
        if function.from.has(Origins::STORED) && !function.from.has(Origins::WRITTEN) {
            let scoped = Origins::SESSION.and(Origins::TENANT);
            if sum.from.has(Origins::KEY) && !value.from.has(Origins::RECORD) {
                let tenant = sum.from.has(scoped) || function.from.has(scoped);
                self.emit(EventKind::Lookup { tenant }, site.frame, site.span);
                value.from |= Origins::RECORD;
            } else if sum.from.has(scoped)
                && value.from.has(Origins::RECORD)
                && let Some(event) =
                    self.run.events.iter_mut().rev().find(|event| matches!(event.kind, EventKind::Lookup { .. }))
            {
                event.kind = EventKind::Lookup { tenant: true };
            }
            if sum.from.has(scoped) {
                value.from |= Origins::SESSION;
            }
        }
        value
    }

    /// The insert that was told last refuses a second one of the same.
    pub(super) fn prove_last_claim(&mut self) {
        let claim = self.run.events.iter_mut().rev().find(|event| matches!(event.kind, EventKind::Claim(_)));
        if let Some(event) = claim
            && let EventKind::Claim(claimed) = &mut event.kind
        {
            claimed.proven = true;
        }
    }

    pub(crate) fn read(&mut self, path: &str, asked: &Value, site: &Site<'_>) -> Value {
        let mut from = Origins::STORED;
        if asked.from.has(Origins::KEY) {
            let tenant = asked.from.has(Origins::SESSION.and(Origins::TENANT));
            self.emit(EventKind::Lookup { tenant }, site.frame, site.span);
            from |= Origins::RECORD;
        }
        Value { from, ..Value::foreign(&format!("{path}()")) }
    }

    pub(crate) fn write(
        &mut self,
        change: Change,
        model: &str,
        path: &str,
        data: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Value {
        let sum = total(given).tainted(&data.whole());
        let tenant = sum.from.has(Origins::SESSION.and(Origins::TENANT));
        let record = has_word(model, &["idempotency", "idempotent", "idempotence", "dedup", "replay"])
            || has_word(model, &["key", "request"]) && sum.from.has(Origins::KEY);
        let event = change == Change::Create && self.is_event_claim(model, data);
        if sum.from.has(Origins::KEY) || event {
            let key = sum.from.has(Origins::KEY);
            if change == Change::Create {
                let proven = self.is_unique(model, data);
                self.emit(EventKind::Claim(Claimed { key, event, tenant, proven }), site.frame, site.span);
            } else if key {
                self.emit(EventKind::Store { tenant }, site.frame, site.span);
            }
        }
        let only_record = record && sum.from.has(Origins::KEY);
        let only_claim = event && has_word(model, &["event", "webhook", "processed"]);
        if !(only_record || only_claim) {
            let effect = self.effect(change, model, data, &sum, site);
            self.emit(EventKind::Write(effect), site.frame, site.span);
        }
        Value { from: Origins::WRITTEN | Origins::STORED, ..Value::foreign(&format!("{path}()")) }
    }

    pub(super) fn effect(&mut self, change: Change, model: &str, data: &Value, sum: &Value, site: &Site<'_>) -> Effect {
        let sums = change == Change::Sum
            || paid::adds(data)
            || site.name.contains("increment")
            || site.name.contains("decrement");
        let is_cart = has_word(model, &["cart", "wishlist", "basket", "view", "like", "log", "session", "favorite"]);
        let order = has_word(model, paid::ORDERS) && !is_cart && !has_word(model, paid::BESIDES);
        let stock = has_word(model, paid::STOCK) && !is_cart;
        let nested = paid::makes_orders(data);
        let repeats = matches!(change, Change::Create) || sums || nested;
        let valuable = nested
            || (change == Change::Create && (order || stock))
            || (sums && !is_cart && (order || stock || paid::adds_value(data)));
        let marks_paid = matches!(change, Change::Create | Change::Update) && paid::marks_paid(model, data) && !is_cart;
        let marks_paid = marks_paid && !self.depends_on(Origins::FREE);
        let payment_from_request = if (order && matches!(change, Change::Create | Change::Update)) || marks_paid {
            paid::payment_from_request(data, sum).or_else(|| self.decided_by_request(marks_paid))
        } else {
            None
        };
        Effect {
            call: site.name.clone(),
            model: model.to_owned(),
            repeats,
            valuable,
            order,
            balance: sums && paid::adds_to_balance(data),
            mail: false,
            marks_paid,
            payment_from_request,
        }
    }

    /// `if (req.body.success) order.paid = true`.
    pub(super) fn decided_by_request(&self, marks_paid: bool) -> Option<String> {
        if !marks_paid {
            return None;
        }
        self.run.branches.iter().filter_map(|(branching, _)| self.run.conditions.get(*branching as usize)).find_map(
            |condition| {
                let trusted = Origins::PROVIDER.and(Origins::EVENT).and(Origins::VERIFIED).and(Origins::MAC);
                if !condition.from.has(Origins::REQUEST) || condition.from.has(trusted) {
                    return None;
                }
                condition.places.iter().find(|place| paid::is_state(place)).map(ToString::to_string)
            },
        )
    }

    /// What was assigned to a document before it is saved.
    pub(super) fn taken(&mut self, object: &str) -> Value {
        let assigned = self.run.assigned.remove(object).unwrap_or_default();
        Value::object(assigned.into_iter().collect())
    }
}
