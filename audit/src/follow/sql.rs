//! What a text of SQL does, by its first words.

use std::collections::BTreeMap;

use super::value::Value;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Select,
    Insert,
    Upsert,
    Update,
    /// An update by a sum.
    Sum,
    Delete,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) kind: Kind,
    pub(crate) table: String,
    /// A second insert of the same does nothing.
    pub(crate) unique: bool,
    /// Columns that are set to a constant: `status = 'paid'`.
    constants: Vec<(String, String)>,
    columns: Vec<String>,
}

impl Statement {
    /// The statement in a text; `None` if it is no SQL.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(['"', '`'], "");
        let lower = plain.to_lowercase();
        let words: Vec<&str> = lower.split([' ', '(', ',', ';']).filter(|word| !word.is_empty()).collect();
        let after = |word: &str| {
            let at = words.iter().position(|known| *known == word)?;
            words.get(at.saturating_add(1)).map(|name| name.rsplit('.').next().unwrap_or_default().to_owned())
        };
        let conflict =
            lower.contains("do nothing") || lower.contains("insert ignore") || lower.contains("insert or ignore");
        let mut constants = constants(&lower);
        constants.extend(summed(&lower).map(|name| (format!("+{name}"), "sum".to_owned())));
        let (kind, table) = match *words.first()? {
            "select" => (Kind::Select, after("from").unwrap_or_default()),
            "with" if lower.contains("insert into") => (Kind::Insert, after("into")?),
            "with" if lower.contains(" update ") => (Kind::Update, after("update")?),
            "with" => (Kind::Select, after("from")?),
            "insert" | "replace" => {
                let upsert =
                    lower.contains("do update") || lower.contains("on duplicate key") || lower.starts_with("replace");
                (if upsert { Kind::Upsert } else { Kind::Insert }, after("into")?)
            }
            "update" => (if summed(&lower).is_some() { Kind::Sum } else { Kind::Update }, after("update")?),
            "delete" => (Kind::Delete, after("from")?),
            _ => return None,
        };
        if kind == Kind::Update && !lower.contains(" set ") {
            return None;
        }
        Some(Self { kind, table, unique: conflict, constants, columns: columns(&lower) })
    }

    /// A form that fits into a path, and back.
    pub(crate) fn short(&self) -> String {
        let kind = match self.kind {
            Kind::Select => "select",
            Kind::Insert => "insert",
            Kind::Upsert => "upsert",
            Kind::Update => "update",
            Kind::Sum => "sum",
            Kind::Delete => "delete",
        };
        let constants: Vec<String> = self.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{kind} {} {} {}", self.table, u8::from(self.unique), constants.join(" "))
    }

    pub(crate) fn shortened(short: &str) -> Option<Self> {
        let mut parts = short.trim_end_matches(')').split(' ');
        let kind = match parts.next()? {
            "select" => Kind::Select,
            "insert" => Kind::Insert,
            "upsert" => Kind::Upsert,
            "update" => Kind::Update,
            "sum" => Kind::Sum,
            "delete" => Kind::Delete,
            _ => return None,
        };
        let table = parts.next()?.to_owned();
        let unique = parts.next()? == "1";
        let constants = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Self { kind, table, unique, constants, columns: Vec::new() })
    }

    /// What is written, as an object: the constants, and the rest under the columns' names.
    pub(crate) fn data(&self, given: &Value) -> Value {
        let mut fields: BTreeMap<String, Value> = BTreeMap::new();
        for column in &self.columns {
            let hidden = Value { text: None, ..given.whole() };
            fields.insert(column.clone(), hidden);
        }
        for (name, value) in &self.constants {
            let value =
                if value == "true" { Value::shaped(super::value::Shape::Bool(true)) } else { Value::literal(value) };
            fields.insert(name.clone(), value);
        }
        Value::object(fields)
    }
}

/// The column of `stock = stock - 1`.
fn summed(lower: &str) -> Option<String> {
    let set = lower.split(" set ").nth(1).unwrap_or_default();
    set.split(" where ").next().unwrap_or_default().split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        let sums = !name.is_empty() && value.contains(name) && (value.contains('+') || value.contains('-'));
        sums.then(|| name.to_owned())
    })
}

fn constants(lower: &str) -> Vec<(String, String)> {
    let set = lower.split(" set ").nth(1).unwrap_or_default().split(" where ").next().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = set.split(',').filter_map(constant).collect();
    // `insert into orders (id, status) values ($1, 'paid')`.
    let names = columns(lower);
    if let Some((_, values)) = lower.split_once("values") {
        let values: Vec<&str> = values.trim().trim_start_matches('(').split([',', ')']).collect();
        for (name, value) in names.iter().zip(values) {
            let text = value.trim();
            if text == "true" || (text.starts_with('\'') && text.ends_with('\'') && text.len() > 1) {
                found.push((name.clone(), text.trim_matches('\'').to_owned()));
            }
        }
    }
    found
}

fn constant(part: &str) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    let value = value.trim();
    let is_constant = value == "true" || (value.starts_with('\'') && value.ends_with('\''));
    is_constant.then(|| (name.trim().to_owned(), value.trim_matches('\'').replace(' ', "_")))
}

fn columns(lower: &str) -> Vec<String> {
    let Some((_, rest)) = lower.split_once("into ") else { return Vec::new() };
    let Some((head, rest)) = rest.split_once('(') else { return Vec::new() };
    if head.contains("values") || head.contains("select") {
        return Vec::new();
    }
    let inside = rest.split(')').next().unwrap_or_default();
    inside.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_known_by_their_first_words() {
        let insert = Statement::read("INSERT INTO orders (id, status)\n VALUES ($1, 'paid')").unwrap();
        assert_eq!((insert.kind, insert.table.as_str()), (Kind::Insert, "orders"));
        assert_eq!(insert.constants, [("status".to_owned(), "paid".to_owned())]);
        let sum = Statement::read("update products set stock = stock - $1 where id = $2").unwrap();
        assert_eq!((sum.kind, sum.table.as_str()), (Kind::Sum, "products"));
        assert_eq!(Statement::read("update your profile"), None);
        assert_eq!(Statement::read("hello"), None);
    }
}
