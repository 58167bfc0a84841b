//! Whether a column is unique, as far as the tree shows it.

use super::super::Follower;
use super::super::origins::Origins;
use super::super::value::{Shape, Value};
use super::super::words::{has_word, plain_name};

/// Where schemas are looked for.
const SCHEMAS: &[&str] = &[
    "prisma/schema.prisma",
    "schema.prisma",
    "packages/db/prisma/schema.prisma",
    "packages/database/prisma/schema.prisma",
    "src/prisma/schema.prisma",
    "server/prisma/schema.prisma",
    "backend/prisma/schema.prisma",
    "apps/web/prisma/schema.prisma",
    "schema.sql",
    "db/schema.sql",
    "sql/schema.sql",
    "database/schema.sql",
    "supabase/schema.sql",
    "src/db/schema.sql",
    "migrations/schema.sql",
    "src/db/schema.ts",
    "db/schema.ts",
    "lib/db/schema.ts",
    "src/lib/db/schema.ts",
    "drizzle/schema.ts",
    "src/server/db/schema.ts",
];

impl Follower<'_> {
    /// Whether the column of the key is unique, which a schema of the tree says.
    pub(super) fn is_unique(&mut self, model: &str, data: &Value) -> bool {
        let columns = columns_of(data, Origins::KEY.and(Origins::EVENT));
        SCHEMAS.iter().filter_map(|path| self.sources.text(path)).any(|text| says_unique(&text, model, &columns))
    }

    /// Whether an insert is the claim of a webhook's event.
    pub(super) fn is_event_claim(&self, model: &str, data: &Value) -> bool {
        let by_model = has_word(model, &["event", "webhook", "processed", "idempotency", "dedup"]);
        let mut found = false;
        each_field(data, 4, &mut |name, value| {
            let event = value.from.has(Origins::EVENT) || (self.run.signature_read && value.from.has(Origins::REQUEST));
            let column = plain_name(name);
            let is_id = value.last_name() == "id" || column.ends_with("eventid") || (by_model && column == "id");
            let whole_event = value.path().is_some_and(|path| path.ends_with("().id"));
            found |= event && is_id && (by_model || whole_event || plain_name(name).contains("eventid"));
        });
        found
    }
}

fn each_field(value: &Value, levels: u32, found: &mut dyn FnMut(&str, &Value)) {
    let Some(levels) = levels.checked_sub(1) else { return };
    if let Shape::Object(object) = &value.shape {
        for (name, value) in object.fields.borrow().iter() {
            found(name, value);
            each_field(value, levels, found);
        }
    }
}

/// The fields that hold the key.
fn columns_of(data: &Value, from: Origins) -> Vec<String> {
    let mut columns = Vec::new();
    each_field(data, 4, &mut |name, value| {
        if value.from.has(from) && !matches!(value.shape, Shape::Object(_)) {
            columns.push(name.to_owned());
        }
    });
    columns
}

/// Whether a schema's text says that one of the columns is unique in that model.
fn says_unique(text: &str, model: &str, columns: &[String]) -> bool {
    let model = plain_name(model);
    let single = model.strip_suffix('s').unwrap_or(&model);
    let mut inside = false;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        let code = code.split("--").next().unwrap_or_default();
        let lower = code.to_lowercase();
        let begins = ["model ", "create table", "pgtable(", "sqlitetable(", "mysqltable("]
            .iter()
            .any(|start| lower.contains(start));
        if begins {
            let plain = plain_name(&lower);
            inside = plain.contains(single);
        }
        let index = lower.contains("create unique index") && plain_name(&lower).contains(single);
        if !(inside || index) {
            continue;
        }
        let unique = ["@unique", "@id", "@@unique", "@@id", " unique", ".unique(", "primary key", ".primarykey("]
            .iter()
            .any(|word| lower.contains(word));
        if unique && columns.iter().any(|column| plain_name(&lower).contains(&plain_name(column))) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_unique_in_its_own_model_only() {
        let text = "model Order {\n  key String\n}\nmodel IdempotencyKey {\n  key String @unique // a comment\n}\n";
        assert!(says_unique(text, "idempotencyKey", &["key".to_owned()]));
        assert!(!says_unique(text, "order", &["key".to_owned()]));
        assert!(!says_unique("model Order {\n key String // @unique\n}", "order", &["key".to_owned()]));
    }
}
