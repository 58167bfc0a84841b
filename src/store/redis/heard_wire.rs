//! One connection of a line: what its server is asked at the start and with each beat, and what it says to that.

use ::redis::Value;

use super::dial::Dial;
use super::endpoint::Address;
use super::fault::RedisRefusal;
use super::nodes::NodesView;
use super::reply::{Request, text};
use super::wire::{Pushes, Wire};
use crate::store::StoreError;

/// What the connection subscribes to, so that it counts as a subscriber. Nothing is ever published there.
const CHANNEL: &[u8] = b"payproof:line";

/// One connection of a line, and what its server says with each beat: in a Cluster, who serves what.
pub(super) struct HeardWire {
    pub(super) wire: Wire,
    pub(super) said: Option<NodesView>,
}

/// Asks a server to tell of changes under a prefix.
pub(super) async fn listen(
    dial: &Dial,
    address: &Address,
    prefix: &str,
    in_cluster: bool,
    pushes: Pushes,
) -> Result<HeardWire, StoreError> {
    let wire = dial.listen(address, pushes).await?;
    let subscribe: [&[u8]; 2] = [b"SUBSCRIBE", CHANNEL];
    let track: [&[u8]; 6] = [b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", prefix.as_bytes()];
    for (what, words) in [("SUBSCRIBE", subscribe.as_slice()), ("CLIENT TRACKING", &track)] {
        match wire.call(Request::One(words)).await {
            Ok(Value::ServerError(error)) => return Err(denied(what, &RedisRefusal::of(&error))),
            Ok(_) => {}
            Err(lost) => return Err(StoreError::not_sent(lost.to_string())),
        }
    }
    let said = beat(&wire, in_cluster).await?;
    Ok(HeardWire { wire, said })
}

/// The server has no such command, or not for this user. One that is still loading, or busy, has it later.
fn denied(what: &str, refusal: &RedisRefusal) -> StoreError {
    let error = refusal.clone().into_error();
    if error.is_refused() {
        StoreError::refused(format!("the server refuses {what} ({})", refusal.code()))
    } else {
        error
    }
}

/// Asks the server who it is, and in a Cluster who serves what. Only a primary hears of every change.
pub(super) async fn beat(wire: &Wire, in_cluster: bool) -> Result<Option<NodesView>, StoreError> {
    let mut questions: Vec<Vec<&[u8]>> = vec![vec![b"HELLO", b"3"]];
    questions.extend(in_cluster.then(|| vec![b"CLUSTER".as_slice(), b"NODES"]));
    let answers = wire.all(&questions).await.map_err(|lost| StoreError::not_sent(lost.to_string()))?;
    let fields = match answers.first() {
        Some(Value::Map(fields)) => fields,
        Some(Value::ServerError(error)) => return Err(denied("HELLO", &RedisRefusal::of(error))),
        _ => return Err(StoreError::refused("what answers does not speak RESP3")),
    };
    let role = fields.iter().find(|(name, _)| text(name) == Some("role")).and_then(|(_, role)| text(role));
    match role {
        Some("master" | "primary") => {}
        Some(_) => return Err(StoreError::not_sent("the server of the line is no primary any more")),
        None => return Err(StoreError::refused("what answers does not say whether it is a primary")),
    }
    match answers.get(1) {
        None => Ok(None),
        Some(Value::ServerError(error)) => Err(denied("CLUSTER NODES", &RedisRefusal::of(error))),
        Some(nodes) => match text(nodes).and_then(NodesView::read) {
            Some(view) => Ok(Some(view)),
            None => Err(StoreError::refused("what answers does not say who serves what in the Cluster")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_denies_while_it_loads_is_asked_for_again_soon() {
        let denies = |code: &str| denied("CLUSTER NODES", &RedisRefusal::with_code(code));
        assert!(!denies("LOADING").is_refused() && !denies("BUSY").is_refused());
        assert!(denies("NOPERM").is_refused() && denies("NOPERM").to_string().contains("CLUSTER NODES (NOPERM)"));
    }
}
