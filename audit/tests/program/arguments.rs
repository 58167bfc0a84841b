//! Exit statuses, thresholds, the configuration, and what is explained.

use crate::tree::{SHOP, Tree};

#[test]
fn the_exit_status_says_whether_what_is_denied_was_found() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    for (arguments, code) in [
        (&["."][..], 0),
        (&[".", "--deny", "medium"], 1),
        (&[".", "--deny", "low"], 1),
        (&[".", "--deny", "none"], 0),
        (&[".", "--warn", "medium=1"], 1),
        (&[".", "--warn", "medium=2"], 0),
        (&[".", "--warn", "low=2"], 1),
        (&[".", "--deny", "none", "--warn", "low=3"], 0),
    ] {
        assert_eq!(tree.run(arguments).code, code, "{arguments:?}");
    }
}

#[test]
fn a_tree_without_routes_could_not_be_told() {
    let tree = Tree::new(&[("README.md", "# Nothing"), ("lib/a.ts", "export const a = 1")]);
    let run = tree.run(&["."]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("could not tell: no route was recognized among 2 files;"), "{}", run.stdout);
    let run = tree.run(&["lib"]);
    assert!(run.stdout.contains("no route was recognized among 1 file;"), "{}", run.stdout);
    let run = tree.run(&[".", "--format", "json"]);
    assert_eq!((run.code, run.json()["counts"]["routes"].as_u64()), (2, Some(0)));
    assert!(run.stderr.contains("could not tell"), "{}", run.stderr);
}

#[test]
fn an_unknown_convention_is_named() {
    let tree = Tree::new(&[
        ("api/orders/route.json", r#"{ "method": "POST", "handler": "./create" }"#),
        ("api/orders/create.ts", "export default async (request) => save(request.body)"),
    ]);
    let run = tree.run(&["."]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("api/orders/route.json declares routes in a way that is not known"), "{}", run.stdout);
}

#[test]
fn a_framework_whose_routes_are_not_read_is_named() {
    for (name, text, told) in [
        ("src/api.ts", "import { Elysia } from 'elysia'\nnew Elysia().post('/', () => 1)", "Elysia"),
        ("src/server.ts", "import Hapi from '@hapi/hapi'\nHapi.server().route({})", "hapi"),
        (
            "src/orders.resolver.ts",
            "import { Resolver } from '@nestjs/graphql'\n@Resolver()\nclass Orders {}",
            "NestJS",
        ),
        (
            "src/pay.ts",
            "import type { APIGatewayProxyEvent } from 'aws-lambda'\nexport const pay = () => 1",
            "AWS Lambda",
        ),
        ("src/main.rs", "use actix_web::web;\nfn main() {}", "actix-web"),
    ] {
        let run = Tree::new(&[(name, text)]).run(&["."]);
        assert_eq!(run.code, 2, "{name}");
        let line = format!("{name} declares routes in a way that is not known ({told})");
        assert!(run.stdout.contains(&line), "{}", run.stdout);
    }
}

#[test]
fn what_cannot_be_read_or_used_is_said_in_one_line() {
    let tree = Tree::new(&[("api.yaml", SHOP), ("bad.json", "{ \"offs\": [] }"), ("old.json", "{}")]);
    for (arguments, told) in [
        (&["nothing-here"][..], "nothing-here cannot be read"),
        (&[], "PATH"),
        (&[".", "--deny", "worst"], "must be low, medium, high or none"),
        (&[".", "--warn", "medium"], "must have the form `medium=10`"),
        (&[".", "--config", "bad.json"], "unknown field `offs`"),
        (&[".", "--config", "none.json"], "none.json: entity not found"),
        (&[".", "--baseline", "old.json"], "the baseline cannot be read"),
        (&[".", "--write-baseline"], "--baseline"),
        (&["--explain", "keys"], "must be `all` or one of: key-missing"),
    ] {
        let run = tree.run(arguments);
        let one_line = run.stderr.starts_with("error: ") && run.stderr.lines().count() == 1;
        assert!(run.code == 2 && one_line && run.stderr.contains(told), "{arguments:?}: {run:?}");
    }
}

#[test]
fn rules_are_explained_without_a_tree() {
    let tree = Tree::new(&[]);
    let run = tree.run(&["--explain", "claim-not-atomic"]);
    assert!(run.code == 0 && run.stdout.contains("claim-not-atomic (high at worst)"), "{run:?}");
    let all = tree.run(&["--explain", "all"]).stdout;
    for rule in payproof_audit::model::Rule::ALL {
        assert!(all.contains(&format!("{rule} (")), "{rule}");
    }
}

#[test]
fn the_trees_own_configuration_is_taken() {
    let tree = Tree::new(&[
        ("api.yaml", SHOP),
        (
            "payproof-audit.json",
            r#"{ "off": ["key-optional"], "severity": { "key-missing": "low" }, "key": ["X-Once"] }"#,
        ),
    ]);
    let run = tree.run(&[".", "--format", "json"]);
    assert_eq!(run.findings(), ["key-missing api.yaml:7"]);
    assert_eq!(run.json()["findings"][0]["severity"], "low");
    tree.write("payproof-audit.json", "{ \"of\": [] }");
    assert_eq!(tree.run(&["."]).code, 2);
}
