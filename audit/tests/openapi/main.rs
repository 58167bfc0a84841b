//! What the audit says of descriptions in OpenAPI: per rule what is bad, and what is not.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what does not go as expected fails the test")]

use payproof_audit::model::{Finding, Names, Rule, Severity};
use payproof_audit::openapi::{self, NotDescribed};

/// An operation with these parameters and answers, each line indented as it belongs there.
fn described(operation: &str) -> Vec<Finding> {
    found(&format!("openapi: 3.0.3\npaths:\n{operation}"), &Names::default())
}

fn found(text: &str, names: &Names) -> Vec<Finding> {
    openapi::read("api.yaml", text, names).expect("it is a description").findings
}

fn rules(findings: &[Finding]) -> Vec<(Rule, Severity, u32)> {
    findings.iter().map(|finding| (finding.rule, finding.severity, finding.line)).collect()
}

#[test]
fn a_key_that_is_not_described_is_missed_by_what_changes() {
    let paths = "  /orders:\n    post: {}\n  /profile:\n    put: {}\n  /search:\n    post: {}\n  /orders/{id}:\n    get: {}\n    delete: {}\n";
    let missed = rules(&described(paths));
    assert_eq!(missed, [(Rule::KeyMissing, Severity::Medium, 4), (Rule::KeyMissing, Severity::Low, 6)]);
    let names = Names { delete: true, ..Names::default() };
    assert_eq!(found(&format!("openapi: 3.0.3\npaths:\n{paths}"), &names).len(), 3);
}

#[test]
fn a_key_is_found_wherever_it_is_described() {
    let header = "name: idempotency-key, in: header, required: true";
    for text in [
        format!("openapi: 3.1.0\npaths:\n  /orders:\n    post:\n      parameters: [{{ {header} }}]\n"),
        format!("openapi: 3.1.0\npaths:\n  /orders:\n    parameters: [{{ {header} }}]\n    post: {{}}\n"),
        format!(
            "openapi: 3.1.0\npaths:\n  /orders:\n    post:\n      parameters: [{{ $ref: '#/components/parameters/Key' }}]\n\
             components:\n  parameters:\n    Key: {{ {header} }}\n"
        ),
        format!(
            "{{\"openapi\":\"3.1.0\",\"paths\":{{\"/orders\":{{\"post\":{{\"parameters\":[{{{}}}]}}}}}}}}",
            "\"name\":\"Idempotency-Key\",\"in\":\"header\",\"required\":true"
        ),
    ] {
        assert_eq!(rules(&found(&text, &Names::default())), [], "{text}");
    }
}

#[test]
fn a_cure_that_is_only_mentioned_cures_nothing() {
    let text = "  /orders:\n    post: # Idempotency-Key\n      description: 'send Idempotency-Key, required: true'\n      parameters:\n        - { name: Idempotency-Key, in: query, required: true }\n";
    assert_eq!(rules(&described(text)), [(Rule::KeyMissing, Severity::Medium, 4)]);
}

#[test]
fn a_key_that_may_be_left_out_is_told_at_its_parameter() {
    let text = "  /orders:\n    post:\n      parameters:\n        - name: Idempotency-Key\n          in: header\n";
    assert_eq!(rules(&described(text)), [(Rule::KeyOptional, Severity::Low, 6)]);
}

#[test]
fn a_parameter_of_another_document_may_be_the_key() {
    let text = "  /orders:\n    post:\n      parameters: [{ $ref: 'shared.yaml#/Key' }]\n";
    assert_eq!(rules(&described(text)), [(Rule::KeyMissing, Severity::Low, 4)]);
}

#[test]
fn other_headers_are_keys_where_the_settings_say_so() {
    let text = "openapi: 3.0.0\npaths:\n  /orders:\n    post:\n      parameters: [{ name: X-Once, in: header, required: true }]\n";
    assert_eq!(found(text, &Names::default()).len(), 1);
    assert_eq!(found(text, &Names { key: vec!["x-once".to_owned()], ..Names::default() }), []);
}

#[test]
fn webhooks_need_no_key_and_no_envelope() {
    let text = "  /webhooks/stripe:\n    post:\n      responses:\n        '200':\n          content: { application/json: { schema: { properties: { success: {} } } } }\n";
    assert_eq!(rules(&described(text)), []);
}

/// Five operations that answer `data`, and one with this schema.
fn beside_envelopes(status: &str, schema: &str) -> Vec<(Rule, Severity, u32)> {
    let mut text = "openapi: 3.0.0\npaths:\n  /odd:\n    get:\n      responses:\n".to_owned();
    text.extend([format!(
        "        '{status}':\n          content:\n            application/json:\n              schema: {schema}\n"
    )]);
    for number in 0..5 {
        let schema = "{ type: object, properties: { data: { type: object } } }";
        text.extend([format!(
            "  /even/{number}:\n    get:\n      responses:\n        '200': {{ content: {{ application/json: {{ schema: {schema} }} }} }}\n"
        )]);
    }
    text.push_str("components:\n  schemas:\n    Loop: { properties: { next: { $ref: '#/components/schemas/Loop' }, success: { type: boolean } } }\n");
    rules(&found(&text, &Names::default()))
}

#[test]
fn a_success_flag_is_found_at_any_depth_and_circles_end() {
    for (schema, line) in [
        ("{ properties: { data: {}, success: { type: boolean } } }", 9),
        (
            "{ properties: { data: { properties: { items: { items: { allOf: [{ properties: { success: {} } }] } } } } } }",
            9,
        ),
        ("{ properties: { data: { $ref: '#/components/schemas/Loop' } } }", 32),
    ] {
        assert_eq!(beside_envelopes("200", schema), [(Rule::SuccessFlag, Severity::Medium, line)], "{schema}");
    }
    assert_eq!(beside_envelopes("200", "{ properties: { data: { example: { success: true } } } }"), []);
}

#[test]
fn an_answer_without_the_envelope_is_found_where_most_have_it() {
    for schema in
        ["{ properties: { order: {} } }", "{ type: array, items: {} }", "{ properties: { error: { type: string } } }"]
    {
        assert_eq!(beside_envelopes("400", schema), [(Rule::Envelope, Severity::Low, 6)], "{schema}");
    }
    for schema in [
        "{ properties: { error: { type: object } } }",
        "{ oneOf: [{ properties: { data: {} } }, { properties: { error: { properties: { code: {} } } } }] }",
        "{ $ref: 'other.yaml#/Answer' }",
        "{}",
    ] {
        assert_eq!(beside_envelopes("400", schema), [], "{schema}");
    }
}

#[test]
fn a_tree_without_an_envelope_is_not_held_to_one_unless_it_says_so() {
    let text = "openapi: 3.0.0\npaths:\n  /a:\n    get:\n      responses:\n        '200': { content: { application/json: { schema: { properties: { success: {} } } } } }\n";
    assert_eq!(rules(&found(text, &Names::default())), []);
    let names = Names { envelope: Some(true), ..Names::default() };
    let told = rules(&found(text, &names));
    assert_eq!(told, [(Rule::Envelope, Severity::Low, 6), (Rule::SuccessFlag, Severity::Medium, 6)]);
}

#[test]
fn an_error_with_a_status_of_success_is_found() {
    let error = "{ properties: { error: { properties: { code: {} } } } }";
    assert_eq!(beside_envelopes("200", error), [(Rule::ErrorAs200, Severity::Medium, 6)]);
    assert_eq!(beside_envelopes("409", error), []);
    let either = "{ properties: { data: {}, error: { type: object } } }";
    assert_eq!(beside_envelopes("200", either), [], "an answer that has room for both");
    let one_of = format!("{{ oneOf: [{{ properties: {{ data: {{}} }} }}, {error}] }}");
    assert_eq!(beside_envelopes("201", &one_of), [(Rule::ErrorAs200, Severity::Medium, 6)]);
}

#[test]
fn problem_details_and_other_media_have_no_envelope() {
    let text = "  /a:\n    get:\n      responses:\n        '200': { content: { application/problem+json: { schema: { properties: { success: {} } } }, text/csv: {} } }\n";
    let names = Names { envelope: Some(true), ..Names::default() };
    assert_eq!(found(&format!("openapi: 3.0.3\npaths:\n{text}"), &names), []);
}

#[test]
fn what_many_operations_share_is_told_once() {
    let shared = "    post:\n      parameters: [{ $ref: '#/components/parameters/Key' }]\n";
    let text = format!(
        "openapi: 3.0.0\npaths:\n  /a:\n{shared}  /b:\n{shared}components:\n  parameters:\n    Key: {{ name: Idempotency-Key, in: header }}\n"
    );
    let told = found(&text, &Names::default());
    assert_eq!(rules(&told), [(Rule::KeyOptional, Severity::Low, 11)]);
    assert_eq!(told[0].evidence.len(), 2);
}

#[test]
fn what_is_no_description_is_told_apart() {
    let read = |text| openapi::read("a.yaml", text, &Names::default()).unwrap_err();
    assert_eq!(read("name: uses openapi\n"), NotDescribed::Other);
    assert_eq!(read("openapi: 4.0.0\n"), NotDescribed::Version);
    assert!(matches!(read("openapi: 3.0.0\npaths: [\n"), NotDescribed::Broken(..)));
}

#[test]
fn cut_and_changed_descriptions_never_panic() {
    let text = "openapi: 3.0.0\npaths:\n  /a: &x\n    post:\n      parameters: [{ $ref: '#/paths/~1a/post/parameters/0' }, *x]\n      responses: { '200': { content: { application/json: { schema: { allOf: [{ $ref: '#/x' }] } } } } }\n";
    for end in 0..text.len() {
        let _ = openapi::read("a.yaml", &text[..end], &Names::default());
        for byte in ["[", "}", "\u{1F600}", "&x", "*x", "\t", "\u{0}"] {
            let changed = format!("{}{byte}{}", &text[..end], &text[end..]);
            let _ = openapi::read("a.yaml", &changed, &Names::default());
        }
    }
}
