//! JSON lines: one object per line.

use std::fmt;
use std::io::{self, Read};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::line::{Line, LineError, LineSource, LineValues, Lines};
use super::names::Names;
use super::text::InputText;

pub(super) struct JsonLines<R> {
    text: InputText<R>,
    number: u64,
    blank: u64,
    names: Names,
}

impl<R: Read> JsonLines<R> {
    pub(super) fn new(text: InputText<R>, names: Names) -> Self {
        Self { text, number: 0, blank: 0, names }
    }
}

impl<R: Read> LineSource for JsonLines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        while self.text.first()?.is_some() {
            self.number = self.number.saturating_add(1);
            let number = self.number;
            let line = match self.text.line()? {
                None => Some(Line::unread(number, &self.names.fields, LineError::too_long())),
                Some(line) if line.trim_ascii().is_empty() => None,
                Some(line) => Some(read(line, number, &self.names)),
            };
            self.text.pass_line()?;
            if line.is_some() {
                return Ok(line);
            }
            self.blank = self.blank.saturating_add(1);
        }
        Ok(None)
    }

    fn is_drained(&self) -> bool {
        self.text.is_drained()
    }

    fn lines(&self) -> Lines {
        Lines { read: self.text.lines(), blank: self.blank, ..Lines::default() }
    }
}

fn read(line: &[u8], number: u64, names: &Names) -> Line {
    let mut object = Object { values: LineValues::new(&names.fields), names, unfit: None, unknown: None };
    let mut json = serde_json::Deserializer::from_slice(line);
    if let Err(error) = json.deserialize_map(&mut object).and_then(|()| json.end()) {
        // A complaint about data would repeat them.
        let rule = if error.is_data() {
            "the line must be one JSON object".to_owned()
        } else {
            format!("the line is not JSON, from column {} on", error.column())
        };
        return Line::unread(number, &names.fields, LineError::line(rule));
    }
    let Object { values, unfit, unknown, .. } = object;
    Line { number, values, wrong: unfit.or(unknown) }
}

/// What a line holds, and the first things that are wrong with it. A wrong field goes before an unknown one.
struct Object<'n> {
    values: LineValues,
    names: &'n Names,
    unfit: Option<LineError>,
    unknown: Option<LineError>,
}

/// A value as a field's text, none where it is null; or why it is none.
fn text_of(value: Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if number.is_u64() => Ok(Some(number.to_string())),
        Value::Number(number) if number.is_i64() => Err("must not be negative"),
        Value::Number(_) => {
            Err("must be a string, such as \"19.99\", since numbers with a fraction are not exact in JSON")
        }
        _ => Err("must be a string"),
    }
}

impl<'de> Visitor<'de> for &mut Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            self.take(&name, value);
        }
        Ok(())
    }
}

impl Object<'_> {
    fn take(&mut self, name: &str, value: Value) {
        let Some(field) = self.names.field_of_json(name) else {
            if self.unknown.is_none() {
                let refusal = self.names.refusal("field", name);
                self.unknown = refusal.map(|refusal| LineError::line(refusal + "; or say --ignore-unknown"));
            }
            return;
        };
        let unfit = match text_of(value) {
            Ok(Some(_)) if self.values.get(field).is_some() => "is given twice",
            Ok(text) => return self.values.set(field, &text.unwrap_or_default()),
            Err(rule) => rule,
        };
        self.unfit.get_or_insert_with(|| LineError::field(field, unfit));
    }
}
