//! The figures for other programs: one line for each case and peer, means first, then the worst of all seeds.

use std::fmt::Write;

use crate::study::Case;
use crate::study::figures::Figure;

pub(crate) fn of(cases: &[Case]) -> String {
    let mut text = "scenario,rate,processes,peer".to_owned();
    let names = Figure::ALL.map(Figure::name);
    text.extend(names.iter().flat_map(|name| [",", name]));
    text.extend(names.iter().flat_map(|name| [",worst_", name]));
    text.push('\n');
    for case in cases {
        // A scenario's text may hold commas.
        let name = case.scenario.name.replace('"', "\"\"");
        for (peer, measured) in &case.peers {
            let (rate, processes, peer) = (case.rate, case.processes, peer.name());
            let mean = Figure::ALL.map(|figure| measured.mean(figure));
            let worst = Figure::ALL.map(|figure| measured.worst(figure));
            // Writing to a string cannot fail.
            let _ = write!(text, "\"{name}\",{rate},{processes},{peer}");
            for figure in mean.into_iter().chain(worst) {
                let _ = write!(text, ",{figure:.4}");
            }
            text.push('\n');
        }
    }
    text
}
