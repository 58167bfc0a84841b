//! Whether a column is unique, as far as the tree shows it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use super::super::Follower;
use super::super::origins::Origins;
use super::super::value::{Shape, Value};
use super::super::words::{has_word, plain_name};
use crate::model::Sources;
use crate::threads::lock;
use crate::walk::ending;

/// What the tree's schemas say, found once for all routes: many write the same columns of the same model.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    /// Files that may say which columns are unique, once they were asked for.
    paths: OnceLock<Vec<String>>,
    /// Whether one of the columns is unique in the model.
    known: Mutex<HashMap<(String, Vec<String>), bool>>,
}

impl Schemas {
    fn say_unique(&self, sources: &dyn Sources, model: &str, columns: Vec<String>) -> bool {
        let asked = (model.to_owned(), columns);
        if let Some(known) = lock(&self.known).get(&asked) {
            return *known;
        }
        let paths = self.paths.get_or_init(|| {
            let mut found = Vec::new();
            sources.each_name(&mut |path| {
                if is_schema(path) {
                    found.push(path.to_owned());
                }
            });
            found
        });
        let said =
            paths.iter().any(|path| sources.text(path).is_some_and(|text| says_unique(path, &text, model, &asked.1)));
        lock(&self.known).insert(asked, said);
        said
    }
}

impl Follower<'_> {
    /// Whether the column of the key is unique, which a schema of the tree says.
    pub(super) fn is_unique(&self, model: &str, data: &Value) -> bool {
        let columns = columns_of(data, Origins::KEY.and(Origins::EVENT));
        self.schemas.say_unique(self.sources, model, columns)
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

/// Whether a file may say which columns are unique: schemas, migrations, models and entities.
fn is_schema(path: &str) -> bool {
    let named = || has_word(path, &["schema", "model", "entity", "table"]);
    ending(path) == "prisma" || ending(path) == "sql" || (matches!(ending(path), "ts" | "js" | "mjs") && named())
}

/// Whether a file says that one of the columns is unique in that model.
fn says_unique(path: &str, text: &str, model: &str, columns: &[String]) -> bool {
    let plain = without_comments(text, ending(path) == "sql").to_lowercase();
    let model = plain_name(model);
    let model = model.strip_suffix('s').unwrap_or(&model);
    if ending(path) == "sql" {
        return plain.split(';').any(|statement| sql_says(statement, model, columns));
    }
    let is_prisma = ending(path) == "prisma";
    let starts: &[&str] = if is_prisma { &["model "] } else { &["table(", "class ", "schema(", "define("] };
    let whole_file = !is_prisma && plain_name(path.rsplit('/').next().unwrap_or_default()).contains(model);
    let mut inside = whole_file;
    let mut block = String::new();
    for line in plain.lines() {
        if starts.iter().any(|start| line.contains(start)) {
            inside = plain_name(line).contains(model) || (whole_file && !line.contains("table("));
        }
        if inside {
            block.push_str(line);
            block.push('\n');
        }
    }
    columns.iter().any(|column| {
        let column = plain_name(column);
        if is_prisma {
            return block.lines().any(|line| {
                let marked = ["@unique", "@id", "@@unique", "@@id"].iter().any(|mark| line.contains(mark));
                marked && words_of(line).any(|word| word == column)
            });
        }
        script_says(&block, &column)
    })
}

/// A statement of SQL: a table, a unique index, a constraint that is added.
fn sql_says(statement: &str, model: &str, columns: &[String]) -> bool {
    let is_key = |part: &str| part.contains("unique") || part.contains("primary key");
    // A column may be called `key`.
    let bare = |part: &str| part.replace("primary key", "").replace("unique key", "");
    let names = |part: &str| {
        let part = bare(part);
        columns.iter().any(|column| words_of(&part).any(|word| word == plain_name(column)))
    };
    let (head, body) = statement.split_once('(').unwrap_or((statement, ""));
    if !plain_name(head).contains(model) || !(head.contains("table") || head.contains("index")) {
        return false;
    }
    if !head.contains("create table") {
        return is_key(head) && names(body);
    }
    let mut depth = 0_u32;
    let parts = body.split(|sign: char| {
        match sign {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        sign == ',' && depth == 0
    });
    parts.into_iter().any(|part| is_key(part) && names(part))
}

/// Drizzle, Mongoose, Sequelize and entities by decorators: a mark at the field, or an index that names it.
fn script_says(block: &str, column: &str) -> bool {
    let marks = [".unique(", "unique:true", ".primarykey(", "primarykey:true"];
    let compact: String = block.chars().filter(|sign| !sign.is_whitespace()).collect();
    let field = format!("{column}:");
    let at_field = compact.match_indices(&field).any(|(at, _)| {
        let before = compact.get(..at).unwrap_or_default();
        let after = compact.get(at.saturating_add(field.len())..).unwrap_or_default();
        // A decorator stands before its field.
        let decorator = before.rfind('@').and_then(|at| before.get(at..)).filter(|text| !text.contains(';'));
        let decorated = decorator.is_some_and(|text| text.contains("unique:true") || text.starts_with("@primary"));
        let value = after.get(..end_of(after)).unwrap_or_default();
        decorated || marks.iter().any(|mark| value.contains(mark))
    });
    let indexes = ["uniqueindex(", "unique(", "primarykey(", "@index(", ".index(", "indexes:["];
    at_field
        || indexes.iter().any(|index| {
            compact.match_indices(index).any(|(at, _)| {
                let rest = compact.get(at..).unwrap_or_default();
                let whole = rest.split(';').next().unwrap_or_default().split("}),").next().unwrap_or_default();
                let is_unique =
                    !index.contains("index") || index.starts_with("unique") || whole.contains("unique:true");
                // `.unique()` at a field is that field's.
                is_unique && !before_is_dot(&compact, at) && words_of(whole).any(|word| word == column)
            })
        })
}

fn before_is_dot(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with('.'))
}

/// Where a field's value ends: at a comma or a bracket that is not within it.
fn end_of(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, sign) in text.char_indices() {
        match sign {
            '(' | '{' | '[' => depth = depth.saturating_add(1),
            ')' | '}' | ']' | ',' | ';' if depth == 0 => return at,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Names without their separators.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_')).map(plain_name)
}

/// The text without comments, which would pass for what they only mention.
fn without_comments(text: &str, sql: bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let line = if sql { "--" } else { "//" };
    while let Some(at) = [rest.find(line), rest.find("/*")].into_iter().flatten().min() {
        plain.push_str(rest.get(..at).unwrap_or_default());
        let comment = rest.get(at..).unwrap_or_default();
        let end = if comment.starts_with("/*") {
            comment.find("*/").map_or(comment.len(), |end| end.saturating_add(2))
        } else {
            comment.find('\n').unwrap_or(comment.len())
        };
        plain.push(' ');
        rest = comment.get(end..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(path: &str, text: &str, model: &str) -> bool {
        says_unique(path, text, model, &["key".to_owned()])
    }

    #[test]
    fn a_column_is_unique_in_its_own_model_only() {
        let text = "model Order {\n  key String\n}\nmodel IdempotencyKey {\n  key String @unique // a comment\n}\n";
        assert!(says("prisma/schema.prisma", text, "idempotencyKey"));
        assert!(!says("prisma/schema.prisma", text, "order"));
        assert!(!says("schema.prisma", "model Order {\n key String // @unique\n}", "order"));
    }

    #[test]
    fn every_way_of_saying_it_is_read_and_no_mention_of_it() {
        for (path, text) in [
            ("migrations/1.sql", "CREATE TABLE claims (\n  id INT,\n  key TEXT NOT NULL UNIQUE\n);"),
            ("migrations/1.sql", "CREATE TABLE claims (id INT, key TEXT, owner INT, UNIQUE (owner, key));"),
            ("migrations/2.sql", "CREATE UNIQUE INDEX claims_key\n  ON claims (key);"),
            ("migrations/3.sql", "ALTER TABLE claims\n  ADD CONSTRAINT one_key UNIQUE (key);"),
            ("db/schema.ts", "export const claims = pgTable('claims', { key: text('key').notNull().unique() })"),
            (
                "db/schema.ts",
                "export const claims = pgTable('claims', { key: text('key') }, (t) => [uniqueIndex('one').on(t.owner, t.key)])",
            ),
            (
                "models/claim.js",
                "const schema = new mongoose.Schema({\n  key: {\n    type: String,\n    unique: true,\n  },\n})",
            ),
            (
                "models/claim.js",
                "const schema = new Schema({ key: String })\nschema.index({ key: 1 }, { unique: true });",
            ),
            ("models/claim.ts", "Claim.init({ key: { type: DataTypes.STRING, unique: true } }, { sequelize })"),
            (
                "entities/claim.entity.ts",
                "@Entity()\nexport class Claim {\n  @Column({ unique: true })\n  key: string;\n}",
            ),
            (
                "entities/claim.entity.ts",
                "@Entity()\n@Unique(['owner', 'key'])\nexport class Claim {\n  @Column()\n  key: string;\n}",
            ),
        ] {
            assert!(is_schema(path) && says(path, text, "claim"), "{path} {text}");
            assert!(!says(path, text, "receipt") || path.contains("claim"), "{path} {text}");
            let other = text.replace("key", "note");
            assert!(!says(path, &other, "claim"), "{other}");
            let comment = format!("/* {text} */");
            assert!(!says(path, &comment, "claim"), "{comment}");
        }
        assert!(!says("migrations/1.sql", "CREATE TABLE claims (id INT PRIMARY KEY, key TEXT);", "claim"));
        assert!(!says("db/schema.ts", "pgTable('claims', { id: text('id').unique(), key: text('key') })", "claim"));
        assert!(!says(
            "models/claim.js",
            "new Schema({ key: { type: String }, id: { type: String, unique: true } })",
            "claim"
        ));
    }
}
