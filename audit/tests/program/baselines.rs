//! Known findings are not told, new ones are, and those that are gone are.

use std::fs;

use crate::tree::{SHOP, Tree};

#[test]
fn a_baseline_hides_what_is_known_and_no_more() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    let written = tree.run(&[".", "--baseline", "known.json", "--write-baseline"]);
    assert_eq!((written.code, &*written.stderr), (0, "2 findings are in the baseline now\n"));

    let arguments = [".", "--baseline", "known.json", "--deny", "low", "--format", "json"];
    let run = tree.run(&arguments);
    assert_eq!((run.code, run.findings().len()), (0, 0));
    assert_eq!(run.json()["counts"]["baselined"], 2);

    // On other lines, and one more of another operation.
    let more = format!("# moved\n{SHOP}  /refunds:\n    post:\n      operationId: refund\n      responses: {{}}\n");
    tree.write("api.yaml", more);
    let run = tree.run(&arguments);
    assert_eq!((run.code, run.findings()), (1, vec!["key-missing api.yaml:18".to_owned()]));
}

#[test]
fn what_is_gone_is_told() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    tree.run(&[".", "--baseline", "known.json", "--write-baseline"]);
    tree.write("api.yaml", SHOP.replace("schema: {", "required: true, schema: {"));
    let run = tree.run(&[".", "--baseline", "known.json"]);
    assert!(
        run.stdout.contains("the baseline's key-optional in api.yaml (POST createCart) is gone once"),
        "{}",
        run.stdout
    );
}

#[test]
fn no_baseline_is_written_of_a_tree_without_routes() {
    let tree = Tree::new(&[("a.ts", "")]);
    assert_eq!(tree.run(&[".", "--baseline", "known.json", "--write-baseline"]).code, 2);
    assert!(fs::metadata(tree.path().join("known.json")).is_err());
}

#[test]
fn a_baseline_holds_no_source() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    tree.run(&[".", "--baseline", "known.json", "--write-baseline"]);
    let text = fs::read_to_string(tree.path().join("known.json")).unwrap();
    assert!(text.contains("\"schema\": 1") && !text.contains("Idempotency-Key"), "{text}");
}

#[test]
fn an_allow_with_a_reason_is_counted_and_a_bad_one_is_told() {
    let allow = |reason: &str| {
        SHOP.replace(
            "    post:\n      operationId: createOrder",
            &format!("    # payproof-allow: key-missing{reason}\n    post:\n      operationId: createOrder"),
        )
    };
    let tree = Tree::new(&[("api.yaml", &allow(": orders are claimed by their number"))]);
    let run = tree.run(&[".", "--format", "json"]);
    assert_eq!(
        (run.findings(), &run.json()["counts"]["allowed"]),
        (vec!["key-optional api.yaml:15".to_owned()], &1.into())
    );
    tree.write("api.yaml", allow(""));
    let run = tree.run(&[".", "--format", "json"]);
    assert_eq!(run.findings()[..2], ["allow api.yaml:7", "key-missing api.yaml:8"]);
}
