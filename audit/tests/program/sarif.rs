//! SARIF, held against the schema that is published.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::tree::{SHOP, Tree};

#[test]
fn the_report_keeps_the_published_schema() {
    let tree = Tree::new(&[("docs/[v1]/api.yaml", SHOP)]);
    tree.write("app/a/route.ts", b"\xff");
    tree.write("broken.yaml", "openapi: 3.0.0\npaths: [\n");
    let log = tree.run(&[".", "--format", "sarif"]).json();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 2);
    assert_eq!(log["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().len(), 2);
    let schema = schema();
    assert_eq!(Schema(&schema).breaches(&schema, &log, "log"), [""; 0]);
}

#[test]
fn what_breaks_the_schema_is_seen() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    let log = tree.run(&[".", "--format", "sarif"]).json();
    let schema = schema();
    for (pointer, value) in [
        ("/version", Value::from("2.0.0")),
        ("/runs/0/results/0/level", "high".into()),
        ("/runs/0/results/0/message", Value::Object(Map::new())),
        ("/runs/0/results/0/ruleIndex", "0".into()),
        ("/runs/0/tool/driver/rules/0", serde_json::json!({ "name": "no id" })),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", 0.into()),
    ] {
        let mut broken = log.clone();
        *broken.pointer_mut(pointer).unwrap() = value;
        assert_ne!(Schema(&schema).breaches(&schema, &broken, "log"), [""; 0], "{pointer}");
    }
    let mut unknown = log;
    unknown["runs"][0]["results"][0]["novel"] = true.into();
    assert_ne!(Schema(&schema).breaches(&schema, &unknown, "log"), [""; 0]);
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/sarif/schema.json");
    let text = fs::read_to_string(path).expect("the schema is not there; run: scripts/setup-tests");
    serde_json::from_str(&text).unwrap()
}

/// A schema of the kind that SARIF's is: every word of it that asks something, but for the form of texts.
struct Schema<'s>(&'s Value);

impl Schema<'_> {
    fn breaches(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (word, asked) in schema.as_object().unwrap() {
            let holds = match word.as_str() {
                "$ref" => {
                    let target = asked.as_str().unwrap().strip_prefix('#').unwrap();
                    found.extend(self.breaches(self.0.pointer(target).unwrap(), value, at));
                    true
                }
                "type" => of_type(asked, value),
                "enum" => asked.as_array().unwrap().contains(value),
                "required" => asked.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "minimum" => value.as_f64().is_none_or(|number| number >= asked.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|number| number <= asked.as_f64().unwrap()),
                "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= asked.as_u64().unwrap()),
                "uniqueItems" => {
                    value.as_array().is_none_or(|list| (1..list.len()).all(|at| !list[..at].contains(&list[at])))
                }
                "anyOf" => asked.as_array().unwrap().iter().any(|one| self.breaches(one, value, at).is_empty()),
                "oneOf" => {
                    asked.as_array().unwrap().iter().filter(|one| self.breaches(one, value, at).is_empty()).count() == 1
                }
                "items" => {
                    for (number, element) in value.as_array().into_iter().flatten().enumerate() {
                        found.extend(self.breaches(asked, element, &format!("{at}/{number}")));
                    }
                    true
                }
                "properties" | "additionalProperties" => {
                    found.extend(self.properties(schema, value, at));
                    true
                }
                "$id" | "$schema" | "default" | "definitions" | "description" | "format" | "pattern" | "title" => true,
                other => panic!("the schema asks `{other}`, which this test does not know"),
            };
            if !holds {
                found.push(format!("{at}: {word}"));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn properties(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (name, inner) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(known), _) => found.extend(self.breaches(known, inner, &at)),
                (None, Value::Bool(false)) => found.push(format!("{at}: is not known")),
                (None, more @ Value::Object(_)) => found.extend(self.breaches(more, inner, &at)),
                _ => {}
            }
        }
        found
    }
}

fn of_type(asked: &Value, value: &Value) -> bool {
    match asked.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the schema has a type `{other}`"),
    }
}
