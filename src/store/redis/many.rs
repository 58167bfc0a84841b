//! Batch reads: one pipeline to each server.
//!
//! Each record is read by two commands that are no transaction: on the server that costs half as much, and in a Cluster keys
//! of different slots can have none. The time left is read first, so that a record that is replaced in between is dated by the
//! one before it.

use std::vec;

use ::redis::Value;

use super::connection::ConnectionFault;
use super::fault::{RedisRefusal, Remedy};
use super::reply::{Request, into_array};
use super::script::{get, read_get, stored, unexpected};
use super::servers::Servers;
use crate::store::extras::{BatchRead, BatchReads, fill_gaps};

/// Reads records, each as by `get`. Those that a Cluster has elsewhere by now are read one by one, wherever they are.
pub(super) async fn get_many(servers: &Servers, keys: &[&str]) -> BatchReads {
    let names: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let all = || (0..keys.len()).collect();
    let answers = match servers {
        Servers::One(node) => vec![(all(), node.call(Request::Reads(&names)).await)],
        Servers::Sentinel(sentinel) => vec![(all(), sentinel.call(Request::Reads(&names)).await)],
        Servers::Cluster(cluster) => match cluster.reads(&names).await {
            Ok(answers) => answers,
            Err(error) => vec![(all(), Err(error.into()))],
        },
    };
    let mut reads: Vec<Option<BatchRead>> = vec![None; keys.len()];
    for (places, answer) in answers {
        let mut replies = answer.map(|reply| into_array(reply).into_iter());
        for place in places {
            if let Some(read) = reads.get_mut(place) {
                *read = next(&mut replies);
            }
        }
    }
    fill_gaps(reads, keys, |key| async { read_get(get(servers, key).await?) }).await
}

/// What a server says about the next of its keys: nothing if another one serves it.
fn next(replies: &mut Result<vec::IntoIter<Value>, ConnectionFault>) -> Option<BatchRead> {
    match replies {
        Ok(replies) => match (replies.next(), replies.next()) {
            (Some(Value::ServerError(error)), _) | (_, Some(Value::ServerError(error)))
                if is_elsewhere(&RedisRefusal::of(&error)) =>
            {
                None
            }
            (Some(left), Some(value)) => Some(stored(value, &left)),
            _ => Some(Err(unexpected())),
        },
        Err(ConnectionFault::Refused(refusal)) if is_elsewhere(refusal) => None,
        Err(fault) => Some(Err(fault.clone().into())),
    }
}

fn is_elsewhere(refusal: &RedisRefusal) -> bool {
    matches!(refusal.remedy(), Remedy::Moved(_) | Remedy::Ask(_))
}
