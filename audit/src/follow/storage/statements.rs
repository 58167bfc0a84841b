//! SQL as text.

use super::super::Follower;
use super::super::calls::Site;
use super::super::sql::{Kind, Statement};
use super::super::value::{Value, total};
use super::super::words::has_word;
use super::Change;

impl Follower<'_> {
    /// SQL as text: `pool.query('INSERT …', values)`, ``sql`…` ``, `db.prepare('…').run(…)`.
    pub(super) fn statement_call(
        &mut self,
        path: &str,
        verb: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Option<Value> {
        if let Some(prepared) = path.split("prepared-").nth(1) {
            let text = prepared.rsplit_once(").").map_or(prepared, |(text, _)| text);
            let statement = Statement::shortened(text.trim_start_matches('('))?;
            if matches!(verb, "run" | "get" | "all" | "values" | "iterate" | "execute" | "first" | "raw") {
                return Some(self.statement(&statement, given, site));
            }
            return Some(function.clone().tainted(&total(given)));
        }
        let first = given.first()?;
        let text = first.text.as_deref()?;
        let inner = first.field("text").or_else(|| first.field("sql"));
        let text = inner.as_ref().and_then(|inner| inner.text.as_deref()).unwrap_or(text);
        let statement = Statement::read(text)?;
        if verb == "prepare" {
            return Some(Value::foreign(&format!("db.prepared-({})", statement.short())));
        }
        let runs = [
            "query",
            "execute",
            "run",
            "all",
            "get",
            "one",
            "none",
            "any",
            "oneOrNone",
            "exec",
            "unsafe",
            "raw",
            "sql",
            "default",
            "many",
            "$queryRaw",
            "$executeRaw",
            "$queryRawUnsafe",
            "$executeRawUnsafe",
            "query_as",
            "query_scalar",
            "manyOrNone",
            "queryOne",
            "each",
            "batch",
        ];
        if !runs.contains(&verb) && !has_word(path, &["sql", "db", "pool", "client", "query", "pg", "neon"]) {
            return None;
        }
        Some(self.statement(&statement, given, site))
    }

    pub(super) fn statement(&mut self, statement: &Statement, given: &[Value], site: &Site<'_>) -> Value {
        let data = total(given);
        match statement.kind {
            Kind::Select => self.read("db.select", &data, site),
            Kind::Insert => {
                let value = self.write(Change::Create, &statement.table, "db.sql", &statement.data(&data), given, site);
                if statement.unique {
                    self.prove_last_claim();
                }
                value
            }
            Kind::Upsert | Kind::Update => {
                self.write(Change::Update, &statement.table, "db.sql", &statement.data(&data), given, site)
            }
            Kind::Sum => self.write(Change::Sum, &statement.table, "db.sql", &statement.data(&data), given, site),
            Kind::Delete => self.write(Change::Delete, &statement.table, "db.sql", &statement.data(&data), given, site),
        }
    }
}
