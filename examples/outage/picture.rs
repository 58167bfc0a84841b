//! The figures as a picture: a row for each case, a column for each peer, in one file for light and dark pages.
#![allow(clippy::arithmetic_side_effects, reason = "places of a picture, in pixels")]

use std::fmt::Write;

use crate::study::Case;
use crate::study::figures::{Figure, Measured, NEVER};
use crate::study::peers::Peer;

/// Sizes in pixels.
const LABEL: usize = 200;
const COLUMN: usize = 150;
const BAR: f64 = 126.0;
const ROW: usize = 36;
const HEAD: usize = 84;
const MARGIN: usize = 16;

/// Colors for light pages, and for dark ones. A page that is neither still sees the picture's own ground.
const STYLE: &str = "\
<style>
  svg { --ground: #fff; --text: #1f2328; --faint: #59636e; --track: #e4e8ec; --own: #0969da; --peer: #7d8590; --late: #c21c28 }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --text: #e6edf3; --faint: #9198a1; --track: #2a3139; --own: #4493f8; --peer: #8b949e; --late: #ff7b72 }
  }
  text { font: 11px system-ui, sans-serif; fill: var(--text) }
  .title { font-size: 14px; font-weight: 600 }
  .head { font-weight: 600 }
  .faint { fill: var(--faint) }
  .late { fill: var(--late) }
  .ground { fill: var(--ground) }
  .track { fill: var(--track) }
  .own { fill: var(--own) }
  .peer { fill: var(--peer) }
  .by-deadline { opacity: 0.4 }
</style>
";

pub(crate) fn of(cases: &[Case]) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut svg, cases);
    svg
}

fn draw(svg: &mut String, cases: &[Case]) -> std::fmt::Result {
    let peers: Vec<Peer> = cases.first().into_iter().flat_map(|case| &case.peers).map(|(peer, _)| *peer).collect();
    let (width, height) = (MARGIN * 2 + LABEL + COLUMN * peers.len(), MARGIN + HEAD + ROW * cases.len());
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\">"
    )?;
    writeln!(svg, "<title>What callers get while the provider is in trouble</title>\n{STYLE}")?;
    writeln!(svg, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>")?;
    text(svg, MARGIN, 28, "title", "What callers get while the provider is in trouble")?;
    let legend = "Share of callers who hear that their payment is valid: full color within 3 s, pale by the deadline. \
        Below: that share, provider calls for each caller.";
    text(svg, MARGIN, 46, "faint", legend)?;
    let legend = "In red: how long after the end newcomers are answered again, where that is more than half a second; never: not while callers arrived.";
    text(svg, MARGIN, 61, "faint", legend)?;
    for (column, peer) in peers.iter().enumerate() {
        text(svg, MARGIN + LABEL + COLUMN * column, HEAD - 3, "head", peer.name())?;
    }
    for (row, case) in cases.iter().enumerate() {
        let top = HEAD + 8 + ROW * row;
        text(svg, MARGIN, top + 9, "head", &shortened(&case.scenario.name))?;
        let processes =
            if case.processes == 1 { "one process".into() } else { format!("{} processes", case.processes) };
        text(svg, MARGIN, top + 22, "faint", &format!("{} a second, {processes}", case.rate))?;
        for (column, (peer, measured)) in case.peers.iter().enumerate() {
            cell(svg, MARGIN + LABEL + COLUMN * column, top, *peer, measured)?;
        }
    }
    svg.write_str("</svg>\n")
}

fn cell(svg: &mut String, left: usize, top: usize, peer: Peer, measured: &Measured) -> std::fmt::Result {
    let class = if peer == Peer::Payproof { "own" } else { "peer" };
    let (valid, prompt) = (measured.mean(Figure::Valid), measured.mean(Figure::Prompt));
    for (class, part) in [("track", 1.0), (&*format!("{class} by-deadline"), valid), (class, prompt)] {
        let width = BAR * part;
        writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"10\" rx=\"2\"/>"
        )?;
    }
    let (share, calls, recovery) = (valid * 100.0, measured.mean(Figure::Calls), measured.mean(Figure::Recovery));
    let late = match recovery {
        ..=0.5 => String::new(),
        NEVER.. => " <tspan class=\"late\">never</tspan>".to_owned(),
        _ => format!(" <tspan class=\"late\">{recovery:.1} s</tspan>"),
    };
    let below = top + 22;
    writeln!(svg, "<text x=\"{left}\" y=\"{below}\">{share:.0} %, {calls:.2} calls{late}</text>")
}

fn text(svg: &mut String, left: usize, top: usize, class: &str, words: &str) -> std::fmt::Result {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{left}\" y=\"{top}\" class=\"{class}\">{words}</text>")
}

/// A scenario's text may be longer than its place.
fn shortened(name: &str) -> String {
    const MOST: usize = 30;
    if name.chars().count() <= MOST { name.into() } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}
