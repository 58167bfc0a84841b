//! ARCHITECTURE.md and CONTRIBUTING.md say what is so: the rooms in their order, in their own words, and paths that exist.

use std::fs;
use std::io;
use std::path::Path;

use crate::layering::LAYERS;
use crate::markdown::quoted;
use crate::root;

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");

#[test]
fn the_architecture_lists_each_room_in_its_order_and_its_own_words() {
    let rows = ARCHITECTURE.lines().skip_while(|line| *line != "|---|---|").skip(1);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let rooms: Vec<String> = LAYERS.concat().into_iter().map(|room| row(room).unwrap()).collect();
    assert_eq!(rows, rooms, "left: ARCHITECTURE.md; right: LAYERS, with the first words of each room");
}

#[test]
fn every_path_that_the_pages_name_exists() {
    let mut seen = 0;
    for page in [ARCHITECTURE, CONTRIBUTING] {
        for quoted in quoted(page) {
            let is_path = quoted.contains('/') || [".md", ".rs", ".toml"].iter().any(|end| quoted.ends_with(end));
            if is_path && quoted.starts_with(char::is_alphabetic) && !quoted.contains([' ', '\n', '(']) {
                assert!(root().join(&quoted).exists(), "{quoted} is named in a page and does not exist");
                seen += 1;
            }
        }
    }
    assert!(seen >= 40, "{seen} paths were found");
}

#[test]
fn the_index_lists_every_page_and_no_other() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let rows = index.lines().filter_map(|line| line.strip_prefix("| [")?.split_once("](")?.1.split_once(')'));
    let mut listed: Vec<String> = rows.map(|(page, _)| page.to_owned()).collect();
    let pages = root().join("docs").read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = pages
        .filter(|page| Path::new(page).extension().is_some_and(|ending| ending == "md") && page != "README.md")
        .collect();
    listed.sort();
    pages.sort();
    assert_eq!(listed, pages, "left: docs/README.md; right: the pages of docs/");
}

/// A room's line: the folder or file, and the first paragraph of what it says of itself.
fn row(room: &str) -> io::Result<String> {
    let folder = root().join("src").join(room);
    let (path, file) = if folder.is_dir() {
        (format!("src/{room}/"), folder.join("mod.rs"))
    } else {
        (format!("src/{room}.rs"), folder.with_extension("rs"))
    };
    let text = fs::read_to_string(file)?;
    let words = text.lines().map_while(|line| line.strip_prefix("//! ")).collect::<Vec<_>>().join(" ");
    // Links are for rustdoc.
    Ok(format!("| `{path}` | {} |", words.replace(['[', ']'], "")))
}
