//! The few fields that decide what becomes of an event, read without making a tree of the rest.
//!
//! All of the body is read, by the rules that a [`Value`] is read by, so that what has an outline also has a tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The fields that are kept, wherever they stand.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum FieldName {
    Account,
    Context,
    Created,
    Data,
    Id,
    Livemode,
    Object,
    Payment,
    PaymentIntent,
    RelatedObject,
    SnapshotEvent,
    Type,
    #[serde(other)]
    Other,
}

/// What stands in a field, as far as it is kept.
pub(super) enum Outline<'b> {
    Null,
    Bool(bool),
    /// A whole number of at least zero; `None` where it is none. Kept of `created` alone.
    Whole(Option<u64>),
    Text(Cow<'b, str>),
    Fields(Vec<(FieldName, Self)>),
    Other,
}

impl Outline<'_> {
    /// The last field of the name counts, as it does in a tree.
    pub(super) fn get(&self, name: FieldName) -> Option<&Self> {
        let Self::Fields(fields) = self else { return None };
        fields.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl<'de> Deserialize<'de> for Outline<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OutlineVisitor)
    }
}

struct OutlineVisitor;

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Outline::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Outline::Bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Outline::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Outline::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Outline::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Outline::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Outline::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element::<Outline<'_>>()?.is_some() {}
        Ok(Outline::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key()? {
            let value = match name {
                // As a `Value`, which knows how numbers come where another crate has serde_json keep their digits.
                FieldName::Created => match map.next_value()? {
                    Value::String(text) => Outline::Text(Cow::Owned(text)),
                    value => Outline::Whole(value.as_u64()),
                },
                _ => map.next_value()?,
            };
            if name != FieldName::Other {
                fields.push((name, value));
            }
        }
        Ok(Outline::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outline(text: &str) -> Option<Outline<'_>> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn what_a_tree_refuses_has_no_outline_wherever_it_stands() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let values =
            [r#""\ud800""#, r#""\x""#, "\"\n\"", "1e999", "01", "-", "nul", "[1,]", r#"{"a"}"#, "{1:2}", &deep];
        for value in values {
            for text in [value.to_owned(), format!(r#"{{"x":{value}}}"#), format!(r#"{{"data":[[{value}]]}}"#)] {
                assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
                assert!(outline(&text).is_none(), "{text}");
            }
        }
    }

    #[test]
    fn the_last_of_two_fields_counts_as_in_a_tree() {
        let text = r#"{"id":"one","id":"tw\u006f","data":{"id":3},"data":{"object":{}}}"#;
        let (outline, tree): (_, Value) = (outline(text).unwrap(), serde_json::from_str(text).unwrap());
        assert_eq!(outline.get(FieldName::Id).unwrap().text(), tree["id"].as_str());
        let data = outline.get(FieldName::Data).unwrap();
        assert!(data.get(FieldName::Id).is_none() && data.get(FieldName::Object).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn what_has_an_outline_has_a_tree(text in "[{}\\[\\]\":,\\\\ud8a0-9e.+ -]{0,24}", field in "(id|data|x)") {
            for text in [text.clone(), format!(r#"{{"{field}":{text}}}"#), format!(r#"{{"{field}":"{text}"}}"#)] {
                prop_assert_eq!(outline(&text).is_some(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
            }
        }
    }
}
