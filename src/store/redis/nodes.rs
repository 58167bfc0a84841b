//! What a node of a Cluster says of who serves what, in its reply to `CLUSTER NODES`: the same for as long as a line is believed.
//!
//! It has the epoch of each node as well, so that a slot which went away and came back between two looks is noticed. The epochs
//! in `CLUSTER INFO` would not do: a node without slots that has the highest epoch already takes a slot without a new one.

use std::collections::BTreeMap;

/// Where the words of a line stand that count here; the slots are behind them.
const FLAGS: usize = 2;
const EPOCH: usize = 6;
const SLOTS: usize = 8;

/// Who answers, and who serves what as far as that node knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NodesView {
    own_id: Box<str>,
    /// By its id, the epoch and the slots of each node that serves something.
    owners: BTreeMap<Box<str>, Box<str>>,
}

impl NodesView {
    pub(super) fn read(reply: &str) -> Option<Self> {
        let (mut own_id, mut owners) = (None, BTreeMap::new());
        for line in reply.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (id, flags, epoch) = (*words.first()?, *words.get(FLAGS)?, *words.get(EPOCH)?);
            if flags.split(',').any(|flag| flag == "myself") {
                own_id = Some(id.into());
            }
            // In brackets stand slots that are under way from one node to another: a node tells of its own alone.
            let slots: Vec<&str> =
                words.get(SLOTS..).unwrap_or_default().iter().copied().filter(|slot| !slot.starts_with('[')).collect();
            if !slots.is_empty() {
                owners.insert(id.into(), format!("{epoch} {}", slots.join(" ")).into());
            }
        }
        Some(Self { own_id: own_id?, owners })
    }

    /// Whether all who serve something are among these, and agree on it.
    pub(super) fn agree(views: &[&Self]) -> bool {
        let Some(first) = views.first() else { return true };
        let is_here = |id: &str| views.iter().any(|view| *view.own_id == *id);
        views.iter().all(|view| view.owners == first.owners) && first.owners.keys().all(|id| is_here(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(myself: usize, epoch: u64, slots: [&str; 3]) -> String {
        let line = |(at, slots): (usize, &&str)| {
            let flags = if at == myself { "myself,master" } else { "master" };
            format!("id{at} 127.0.0.1:700{at}@1700{at} {flags} - 0 1000 {epoch} connected{slots}\n")
        };
        slots.iter().enumerate().map(line).collect()
    }

    fn view(myself: usize, epoch: u64, slots: [&str; 3]) -> NodesView {
        NodesView::read(&reply(myself, epoch, slots)).unwrap()
    }

    #[test]
    fn nodes_agree_where_each_owner_is_asked_and_all_say_the_same() {
        let slots = [" 0-99 200", " 100-199", ""];
        let (one, other, idle) = (view(0, 3, slots), view(1, 3, slots), view(2, 3, slots));
        assert!(NodesView::agree(&[&one, &other]) && NodesView::agree(&[&one, &other, &idle]));
        assert!(!NodesView::agree(&[&one]) && !NodesView::agree(&[&one, &idle]), "the second owner is not asked");
        // As after a takeover, and as after a slot that went to a node with the highest epoch.
        for changed in [view(1, 4, slots), view(1, 3, [" 0-99", " 100-199", " 200"])] {
            assert_ne!(changed, other);
            assert!(!NodesView::agree(&[&one, &changed]));
        }
    }

    #[test]
    fn slots_under_way_and_times_say_nothing() {
        let [before, later] = ["", " [200->-id1]"].map(|under_way| [format!(" 0-200{under_way}"), " 201".into()]);
        let view = |slots: &[String; 2]| view(0, 3, [&slots[0], &slots[1], ""]);
        assert_eq!(view(&before), view(&later));
        assert_eq!(NodesView::read(&reply(0, 3, ["", "", ""]).replace(" 1000 ", " 2000 ")), Some(view_of_none()));
        assert_eq!(NodesView::read(""), None);
        assert_eq!(NodesView::read("id0 127.0.0.1:7000@17000 myself,master"), None);
    }

    fn view_of_none() -> NodesView {
        view(0, 3, ["", "", ""])
    }
}
