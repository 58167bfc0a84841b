//! JSON lines: one object per line.

use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::claim::{FIELDS, LineClaim, LineError};
use super::line::{InputLines, Line, Lines, too_long};
use super::text::InputText;

pub(crate) struct JsonLines<R> {
    text: InputText<R>,
    number: u64,
    blank: u64,
    ignore_unknown: bool,
}

impl<R: Read> JsonLines<R> {
    pub(crate) fn new(text: InputText<R>, ignore_unknown: bool) -> Self {
        Self { text, number: 0, blank: 0, ignore_unknown }
    }
}

impl<R: Read> InputLines for JsonLines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        while self.text.first()?.is_some() {
            self.number = self.number.saturating_add(1);
            let claim = match self.text.line()? {
                None => Some(Err(too_long())),
                Some(line) if line.trim_ascii().is_empty() => None,
                Some(line) => Some(claim(line, self.ignore_unknown)),
            };
            self.text.pass_line()?;
            match claim {
                Some(claim) => return Ok(Some(Line { number: self.number, claim })),
                None => self.blank = self.blank.saturating_add(1),
            }
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

fn claim(line: &[u8], ignore_unknown: bool) -> Result<LineClaim, LineError> {
    let object: Object = serde_json::from_slice(line).map_err(|error| {
        // A complaint about data would repeat them.
        LineError::line(if error.is_data() {
            "the line must be one JSON object".to_owned()
        } else {
            format!("the line is not JSON, from column {} on", error.column())
        })
    })?;
    match object.wrong {
        Some(Wrong::Unknown(_)) if ignore_unknown => Ok(object.claim),
        Some(Wrong::Unknown(name)) => Err(unknown(&name)),
        Some(Wrong::Field(refusal)) => Err(refusal),
        None => Ok(object.claim),
    }
}

fn unknown(name: &str) -> LineError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    LineError::line(format!("the field `{name}` is not one of {}; or say --ignore-unknown", FIELDS.join(", ")))
}

/// What a line holds, and the first thing that is wrong with it. A wrong field goes before an unknown one.
#[derive(Default)]
struct Object {
    claim: LineClaim,
    wrong: Option<Wrong>,
}

enum Wrong {
    Unknown(String),
    Field(LineError),
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

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut object = Object::default();
                while let Some((name, value)) = map.next_entry()? {
                    object.take(name, value);
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Object {
    fn take(&mut self, name: String, value: Value) {
        let Some(known) = FIELDS.into_iter().find(|field| *field == name) else {
            self.wrong.get_or_insert(Wrong::Unknown(name));
            return;
        };
        let Some(place) = self.claim.field(known) else { return };
        let unfit = match text_of(value) {
            Ok(Some(_)) if place.is_some() => "is given twice",
            Ok(Some(text)) => {
                *place = Some(text).filter(|text| !text.is_empty());
                return;
            }
            Ok(None) => return,
            Err(rule) => rule,
        };
        if !matches!(self.wrong, Some(Wrong::Field(_))) {
            self.wrong = Some(Wrong::Field(LineError::field(known, unfit)));
        }
    }
}
