//! Which node of a Cluster serves which key.

use std::sync::Arc;

use ::redis::Value;

use super::connection::{ConnectionSettings, Node};
use super::endpoint::Address;
use super::reply::{array, integer, text};

/// How many slots a Cluster has.
const SLOTS: u16 = 16384;

/// More nodes than this are no Cluster's; the documentation advises against more than a thousand.
const MOST_RANGES: usize = 4096;

/// More tags than have to be tried until one of each slot was among them.
const MOST_TAGS: u32 = 1 << 20;

/// The slot of a key: of what stands between its first braces, if anything does.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = key.get(open.checked_add(1)?..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    };
    let hashed = tag().unwrap_or(key);
    // The CRC-16 of XMODEM.
    let shifted = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    let crc = hashed.iter().fold(0_u16, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| shifted(crc)));
    crc % SLOTS
}

/// Who serves what, as one node saw it.
pub(super) struct Slots {
    /// In the order of their first slots.
    ranges: Vec<Range>,
    /// Every node that was named, replicas too: whom to ask next time.
    pub(super) known: Vec<Address>,
}

struct Range {
    first: u16,
    last: u16,
    primary: Arc<Node>,
}

impl Slots {
    /// Reads the reply to `CLUSTER SLOTS` from this node. Nodes that were known before keep their connections.
    pub(super) fn read(
        reply: &Value,
        from: &Address,
        before: Option<&Self>,
        settings: &Arc<ConnectionSettings>,
    ) -> Option<Self> {
        let mut slots = Self { ranges: Vec::new(), known: Vec::new() };
        for range in array(reply).iter().take(MOST_RANGES) {
            let [first, last, nodes @ ..] = array(range) else { return None };
            let slot = |bound: &Value| integer(bound).and_then(|slot| u16::try_from(slot).ok()).filter(|s| *s < SLOTS);
            let addresses: Vec<Address> = nodes.iter().filter_map(|node| address(node, from)).collect();
            let primary = addresses.first()?;
            let known = slots.primary(primary).or_else(|| before?.primary(primary));
            let primary = known.unwrap_or_else(|| Arc::new(Node::new(primary.clone(), settings)));
            slots.ranges.push(Range { first: slot(first)?, last: slot(last)?, primary });
            for address in addresses {
                if !slots.known.contains(&address) {
                    slots.known.push(address);
                }
            }
        }
        slots.ranges.sort_unstable_by_key(|range| range.first);
        (!slots.ranges.is_empty()).then_some(slots)
    }

    /// The node that serves the slot.
    pub(super) fn node(&self, slot: u16) -> Option<&Arc<Node>> {
        let after = self.ranges.partition_point(|range| range.first <= slot);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= range.last).then_some(&range.primary)
    }

    /// The node at this address, if it serves anything.
    pub(super) fn primary(&self, address: &Address) -> Option<Arc<Node>> {
        let mut primaries = self.ranges.iter().map(|range| &range.primary);
        primaries.find(|node| node.address == *address).cloned()
    }

    /// What makes a key one of those that the node at this address serves, if it serves any: it is to stand in the key. Other
    /// first numbers lead to other slots, since one slot may be under way to another node.
    pub(super) fn tag_at(&self, address: &Address, first: u32) -> Option<String> {
        self.primary(address)?;
        let is_there = |tag: &String| self.node(slot_of(tag.as_bytes())).is_some_and(|node| node.address == *address);
        (0..MOST_TAGS).map(|step| format!("{{{}}}", first.wrapping_add(step) % MOST_TAGS)).find(is_there)
    }

    /// Every node that serves something, once.
    pub(super) fn primaries(&self) -> Vec<Arc<Node>> {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for Range { primary, .. } in &self.ranges {
            if !nodes.iter().any(|node| node.address == primary.address) {
                nodes.push(Arc::clone(primary));
            }
        }
        nodes
    }
}

/// Where a node is; one without a host is where the answer came from.
fn address(node: &Value, from: &Address) -> Option<Address> {
    let [host, port, ..] = array(node) else { return None };
    let port = u16::try_from(integer(port)?).ok().filter(|port| *port > 0)?;
    host_or(text(host).unwrap_or_default(), port, from)
}

/// Reads `host:port` of a redirection that came from this node.
pub(super) fn redirection(target: &str, from: &Address) -> Option<Address> {
    let (host, port) = target.rsplit_once(':')?;
    host_or(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?, from)
}

fn host_or(host: &str, port: u16, from: &Address) -> Option<Address> {
    match (host, from) {
        ("" | "?", Address::Tcp { host, .. }) => Some(Address::tcp(host.clone(), port)),
        ("" | "?", Address::Unix(_)) => None,
        (host, _) => Some(Address::tcp(host, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
    }

    #[test]
    fn there_is_a_tag_for_each_slot() {
        let mut without: std::collections::HashSet<u16> = (0..SLOTS).collect();
        let last = (0..MOST_TAGS).filter(|tag| without.remove(&slot_of(format!("{{{tag}}}").as_bytes()))).last();
        assert!(without.is_empty(), "{} have none; the last tag was {last:?}", without.len());
    }

    #[test]
    fn a_redirection_without_a_host_stays_on_the_host_that_sent_it() {
        let from = Address::tcp("10.0.0.1", 7000);
        assert_eq!(redirection(":7001", &from), Some(Address::tcp("10.0.0.1", 7001)));
        assert_eq!(redirection("10.0.0.2:7001", &from), Some(Address::tcp("10.0.0.2", 7001)));
        assert_eq!(redirection("::1:7001", &from), Some(Address::tcp("::1", 7001)));
        assert_eq!(redirection("nonsense", &from), None);
    }
}
