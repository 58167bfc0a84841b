//! The report in each form.

use serde_json::Value;

use crate::tree::{SHOP, Tree, run_from};

#[test]
fn the_table_says_where_what_and_how_to_mend_it() {
    let tree = Tree::new(&[("docs/api.yaml", SHOP)]);
    let run = tree.run(&["."]);
    let expected = "\
medium  key-missing  docs/api.yaml:7:5  POST /orders
        no header with an idempotency key is described
        by docs/api.yaml:7:5  POST /orders
        fix: Read the Idempotency-Key header, claim it before the effect, and replay the recorded answer.

low     key-optional  docs/api.yaml:14:11  POST /carts
        the header with the idempotency key is not required
        by docs/api.yaml:11:5  POST /carts
        fix: Answer 400 if the Idempotency-Key header is missing.

0 high, 1 medium, 1 low; 3 of 3 routes judged, 1 of 1 files read
";
    assert_eq!(run.stdout, expected);
    assert_eq!(run.stderr, "");
}

#[test]
fn json_has_the_routes_the_findings_and_their_context() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    let json = tree.run(&[".", "--format", "json"]).json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["counts"]["findings"]["medium"], 1);
    assert_eq!(json["counts"]["without_options"], 2);
    assert_eq!(json["routes"][1]["method"], "POST");
    let finding = &json["findings"][0];
    let lines: Vec<u64> =
        finding["context"].as_array().unwrap().iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9]);
    assert_eq!(finding["context"][2]["text"], "    post:");
    assert_eq!(finding["evidence"][0]["line"], 7);
}

#[test]
fn a_report_is_the_same_from_wherever_it_is_run() {
    let tree = Tree::new(&[("shop/a/api.yaml", SHOP), ("shop/b/api.yaml", SHOP), ("elsewhere/x", "")]);
    for format in ["table", "json", "sarif"] {
        let arguments = |path: &'static str| [path, "--format", format];
        let here = tree.run(&arguments("shop"));
        assert_eq!(here.stdout, tree.run(&arguments("./shop/")).stdout);
        assert_eq!(here.stdout, tree.run(&arguments("shop")).stdout);
        let full = tree.path().join("shop").display().to_string();
        assert_eq!(here.stdout, tree.run(&[&full, "--format", format]).stdout);
        // From a folder that does not hold it, names begin in the audited folder. What holds a fingerprint differs by that.
        if format == "table" {
            let outside = run_from(&tree.path().join("elsewhere"), &[&full]);
            assert_eq!(here.stdout.replace("shop/", ""), outside.stdout);
        }
    }
}

#[test]
fn several_paths_make_one_report() {
    let tree = Tree::new(&[("a/api.yaml", SHOP), ("b/api.yaml", SHOP), ("c/api.yaml", SHOP)]);
    let found = tree.run(&["a", "b/api.yaml", "--format", "json"]).findings();
    assert_eq!(found.len(), 4);
    assert!(found[0].ends_with("a/api.yaml:7") && found[2].ends_with("b/api.yaml:7"), "{found:?}");
}

#[test]
fn secrets_of_the_tree_are_masked() {
    // Put together, so that no literal looks like a credential.
    let key = ["sk", "live", "51HxPlantedAbCd"].join("_");
    let text = SHOP.replace(
        "    post:\n      operationId: createOrder",
        &format!("    post:\n      x-key: {key}\n      operationId: {key}"),
    );
    let tree = Tree::new(&[("api.yaml", &text)]);
    for format in ["table", "json", "sarif"] {
        let out = tree.run(&[".", "--format", format]).stdout;
        assert!(!out.contains(&key), "{out}");
        assert!(format != "json" || out.contains("***"), "{out}");
    }
}

#[test]
fn sarif_names_rules_places_and_fingerprints() {
    let tree = Tree::new(&[("docs/[v1]/api.yaml", SHOP)]);
    let log: Value = tree.run(&[".", "--format", "sarif"]).json();
    let (run, rules) = (&log["runs"][0], &log["runs"][0]["tool"]["driver"]["rules"]);
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()]["id"]);
    assert_eq!(result["level"], "warning");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "docs/%5Bv1%5D/api.yaml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&7.into(), &5.into()));
    assert_eq!(result["partialFingerprints"]["payproofAudit/v1"].as_str().unwrap().len(), 16);
}
