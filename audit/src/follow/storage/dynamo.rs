//! Dynamo: commands that a client is sent, and calls that name their table in what they are given.

use super::super::Follower;
use super::super::calls::Site;
use super::super::value::{Value, total};
use super::Change;
use crate::follow::words::last_part;

impl Follower<'_> {
    /// `client.send(new PutCommand({ TableName, Item }))`, `client.put({ TableName, Item })`.
    pub(super) fn dynamo_call(&mut self, verb: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let first = given.first()?;
        let (name, fields) = match first.path().and_then(|path| path.strip_suffix("Command()")) {
            Some(command) if verb == "send" => {
                let made = first.path().unwrap_or_default();
                let fields = self.run.assigned.get(made).cloned().unwrap_or_default();
                (last_part(command).to_owned(), Value::object(fields.into_iter().collect()))
            }
            _ => (verb.to_owned(), first.clone()),
        };
        let table = fields.field("TableName").or_else(|| fields.field("TransactItems"))?;
        let model = table.is_text().map_or_else(|| table.last_name().to_owned(), str::to_owned);
        let text = |field: &str| fields.field(field).and_then(|value| value.text).unwrap_or_default();
        let change = match name.trim_end_matches("Item").to_lowercase().as_str() {
            "put" | "transactwrite" | "transactwrites" | "batchwrite" => Change::Create,
            "update" => {
                let sum = text("UpdateExpression");
                let adds = sum.contains(" + ") || sum.contains(" - ") || sum.trim_start().starts_with("ADD ");
                if adds { Change::Sum } else { Change::Update }
            }
            "delete" => Change::Delete,
            "get" | "query" | "scan" | "batchget" | "transactget" => {
                return Some(self.read("dynamo.get", &total(given), site));
            }
            _ => return None,
        };
        let data = fields.field("Item").unwrap_or_else(|| fields.clone());
        let value = self.write(change, &model, "dynamo.send", &data, std::slice::from_ref(&fields), site);
        if text("ConditionExpression").contains("attribute_not_exists") {
            self.prove_last_claim();
        }
        Some(value)
    }
}
