//! Trees that were made to hold the audit up, or to have it read what is not the tree's.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::tree::{SHOP, Tree};

#[test]
fn no_link_is_followed() {
    let outside = Tree::new(&[("secret.yaml", SHOP)]);
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    symlink(outside.path(), tree.path().join("linked")).unwrap();
    symlink(outside.path().join("secret.yaml"), tree.path().join("secret.yaml")).unwrap();
    symlink(tree.path(), tree.path().join("loop")).unwrap();
    let run = tree.run(&[".", "--format", "json"]);
    assert_eq!(run.json()["counts"]["files"], 1);
}

#[test]
fn pipes_hold_nothing_up() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    for name in ["app/route.ts", ".gitignore", "payproof-audit.json"] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    assert_eq!(tree.run(&["."]).code, 0);
}

#[test]
fn large_files_are_named_and_not_read() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    for name in ["app/route.ts", ".gitignore"] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(1 << 30).unwrap();
    }
    let run = tree.run(&["."]);
    assert!(run.code == 0 && run.stdout.contains("app/route.ts: larger than 1 MiB"), "{run:?}");
    assert!(run.stdout.ends_with("1 of 3 files read\n"), "{run:?}");
    let run = tree.run(&[".", "--config", "app/route.ts"]);
    assert!(run.code == 2 && run.stderr.contains("app/route.ts: larger than 16 MiB"), "{run:?}");
}

#[test]
fn what_is_no_text_is_named() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    tree.write("app/a/route.ts", b"export const POST = \xff\xfe");
    tree.write("app/b/route.ts", b"export const POST = \0");
    let out = tree.run(&["."]).stdout;
    assert!(out.contains("app/a/route.ts: not in UTF-8") && out.contains("app/b/route.ts: no text"), "{out}");
}

#[test]
fn deep_nesting_ends() {
    let tree = Tree::new(&[("api.yaml", SHOP)]);
    let deep = 100_000;
    tree.write("app/a/route.ts", format!("export const POST = {}", "[".repeat(deep)));
    tree.write("app/b/route.ts", format!("export const POST = {}1{}", "(".repeat(deep), ")".repeat(deep)));
    tree.write("app/c/route.ts", format!("export const POST = {}", "{a:".repeat(deep)));
    tree.write("app/d/route.ts", format!("export const POST = a{}", ".b()".repeat(deep)));
    tree.write("app/e/route.ts", format!("export const POST = {}", "!".repeat(deep)));
    tree.write("app/f/route.ts", format!("export const POST = 1{}", "+1".repeat(deep)));
    tree.write("src/a.rs", format!("use axum; fn f() {{ {}", "{".repeat(deep)));
    tree.write("src/b.rs", format!("use axum; fn f() {{ a{}", ".b()".repeat(deep)));
    tree.write("src/c.rs", format!("use axum; fn f() {{ {}", "[".repeat(deep)));
    tree.write("src/d.rs", format!("use axum; fn f() -> {}", "A<".repeat(deep)));
    tree.write("src/e.rs", format!("use {}", "a::{".repeat(deep)));
    tree.write("deep.yaml", format!("openapi: 3.0.0\npaths: {}", "[".repeat(deep)));
    tree.write("deep.json", format!("{{\"openapi\": {}", "[".repeat(deep)));
    let mut block = "openapi: 3.0.0\n".to_owned();
    for depth in 0..1_000 {
        block.extend([" ".repeat(depth), "a:\n".to_owned()]);
    }
    tree.write("block.yaml", block);
    let run = tree.run(&["."]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn folders_that_are_deep_are_walked() {
    let tree = Tree::new(&[]);
    tree.write(&format!("{}api.yaml", "a/".repeat(500)), SHOP);
    assert_eq!(tree.run(&[".", "--format", "json"]).json()["counts"]["routes"], 3);
}

#[test]
fn nothing_in_the_tree_reaches_the_terminal() {
    let tree = Tree::new(&[]);
    let hostile = SHOP.replace("createOrder", "'\u{202e}create'").replace("/orders", "/orders\u{9b}2J\u{200b}");
    tree.write("api.yaml", hostile);
    tree.write("evil\u{1b}[2J/app/route.ts", b"\xff");
    for format in ["table", "json", "sarif"] {
        let out = tree.run(&[".", "--format", format]).stdout;
        let controls = |c: &char| c.is_control() && *c != '\n' || matches!(c, '\u{202e}' | '\u{200b}');
        assert_eq!(out.chars().find(controls), None, "{format}: {out}");
    }
}

#[test]
fn ignored_files_are_left_out() {
    let tree = Tree::new(&[
        ("api.yaml", SHOP),
        (".gitignore", "/made/\n*.gen.yaml\n"),
        ("made/api.yaml", SHOP),
        ("docs/api.gen.yaml", SHOP),
        ("docs/.gitignore", "!kept.gen.yaml\n"),
        ("docs/kept.gen.yaml", SHOP),
        ("node_modules/shop/api.yaml", SHOP),
    ]);
    let routes = tree.run(&[".", "--format", "json"]).json()["routes"].clone();
    let mut files: Vec<&str> = routes.as_array().unwrap().iter().map(|route| route["path"].as_str().unwrap()).collect();
    files.dedup();
    assert_eq!(files, ["api.yaml", "docs/kept.gen.yaml"]);
}
