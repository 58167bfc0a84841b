//! Which routes there are.

use crate::tree::Tree;

/// Method, path, handler and place of each route.
fn routes(files: &[(&str, &str)]) -> Vec<String> {
    let json = Tree::new(files).run(&[".", "--format", "json"]).json();
    let text = |route: &serde_json::Value, field: &str| route[field].as_str().unwrap().to_owned();
    let shown = |route: &serde_json::Value| {
        let (method, path, file) = (text(route, "method"), text(route, "route"), text(route, "path"));
        format!("{method} {path} {file}:{}", route["line"])
    };
    json["routes"].as_array().unwrap().iter().map(shown).collect()
}

#[test]
fn routes_are_found_in_chains_variables_and_branches() {
    let source = "\
use axum::{Router, routing::{get, post}};
const CARTS: &str = \"/carts\";
fn app(debug: bool) -> Router {
    let app = Router::new().route(\"/orders\", get(list).post(create));
    let mut app = app.route(CARTS, axum::routing::put(change));
    if debug {
        app = app.route(\"/debug/:id\", post(|| async { \"ok\" }));
    }
    app
}
async fn list() {}
async fn create() {}
async fn change() {}
";
    let found = routes(&[("src/main.rs", source)]);
    let expected = [
        "GET /orders src/main.rs:4",
        "POST /orders src/main.rs:4",
        "PUT /carts src/main.rs:5",
        "POST /debug/{id} src/main.rs:7",
    ];
    assert_eq!(found, expected);
}

#[test]
fn nested_and_merged_routers_have_their_whole_path_and_are_told_once() {
    let main = "\
mod orders;
mod api;
use axum::Router;
#[tokio::main]
async fn main() {
    let app = Router::new().nest(\"/api\", api::router()).merge(orders::routes()?);
    axum::serve(listener, app).await.unwrap();
}
";
    let api = "\
use axum::{Router, routing::post};
pub fn router() -> Router {
    let inner = Router::new().route(\"/\", post(create));
    Router::new().nest(\"/carts\", inner)
}
async fn create() {}
";
    let orders = "\
use axum::{Router, routing::post};
pub(crate) fn routes() -> Result<Router, Error> {
    Ok(Router::new().route(\"/orders/{id}/pay\", post(pay)))
}
async fn pay() {}
";
    let found = routes(&[("src/main.rs", main), ("src/api/mod.rs", api), ("src/orders.rs", orders)]);
    assert_eq!(found, ["POST /api/carts src/api/mod.rs:3", "POST /orders/{id}/pay src/orders.rs:3"]);
}

#[test]
fn routers_that_nest_one_another_end() {
    let source = "\
use axum::{Router, routing::post};
fn app() -> Router { Router::new().route(\"/a\", post(f)).nest(\"/b\", other()) }
fn other() -> Router { Router::new().nest(\"/c\", app()) }
fn top() -> Router { Router::new().merge(app()) }
";
    let found = routes(&[("src/main.rs", source)]);
    assert!(!found.is_empty() && found.len() < 20, "{found:?}");
}

#[test]
fn routes_of_tests_are_nothing_that_is_served() {
    let source = "\
use axum::{Router, routing::post};
fn app() -> Router { Router::new().route(\"/a\", post(f)) }
#[cfg(test)]
mod tests { fn app() -> Router { Router::new().route(\"/test\", post(f)) } }
#[test]
fn one() { let app = Router::new().route(\"/other\", post(f)); serve(app); }
";
    assert_eq!(routes(&[("src/main.rs", source)]), ["POST /a src/main.rs:2"]);
}

#[test]
fn cut_and_changed_files_never_fail_the_reader() {
    let source = include_str!("../../../tests/cli/wrong_twin.rs");
    let tree = Tree::new(&[]);
    for (number, end) in (0..source.len()).step_by(29).enumerate() {
        for (kind, put) in ["", "{", ")", "\"", "=>", "!(", "'", "<"].iter().enumerate() {
            let (before, after) = source.split_at(end);
            let after = if kind == 0 { "" } else { after };
            tree.write(&format!("c{number}_{kind}.rs"), format!("{before}{put}{after}\n// axum"));
        }
    }
    let run = tree.run(&[".", "--format", "json"]);
    assert!(run.code < 2 && !run.stdout.contains("the reader failed"), "{}", run.stderr);
}
