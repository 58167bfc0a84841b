//! Asks servers where something is: several of them, until one knows.

use std::future::Future;
use std::time::Duration;

use ::redis::Value;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::time::timeout;

use super::dial::Dial;
use super::endpoint::Address;
use super::fault::RedisRefusal;
use super::reply::Request;
use crate::store::StoreError;
use crate::store::first_of::first_of;

/// For a tenth of the limit one server is asked before the next one is asked as well.
const HEAD_STARTS: u32 = 10;

/// So many servers are asked; if none of them knows, the rest will not.
const MOST_ASKED: usize = 8;

/// Asks the servers in no particular order, each with a head start, and takes the first answer.
///
/// One that hangs holds up no caller, and one that is behind is not the first to be asked for ever.
pub(super) async fn first_answer<T, F>(
    servers: &[Address],
    limit: Duration,
    ask: impl Fn(Address) -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>> + Send,
{
    let mut order = servers.to_vec();
    let mut rng: StdRng = rand::make_rng();
    order.shuffle(&mut rng);
    let tries = order.into_iter().take(MOST_ASKED).map(|server| {
        let asking = ask(server);
        async move {
            timeout(limit, asking).await.unwrap_or_else(|_| {
                Err(StoreError::not_sent(format!("no answer from Redis within {limit:?} about where the primary is")))
            })
        }
    });
    let head_start = limit.checked_div(HEAD_STARTS).unwrap_or_default();
    first_of(tries, head_start, StoreError::not_sent("there is no Redis server to ask")).await
}

/// Asks one server one thing, over a connection of its own.
pub(super) async fn ask(dial: &Dial, server: &Address, words: &[&[u8]]) -> Result<Value, StoreError> {
    let (wire, _) = dial.connect(server).await?;
    match wire.call(Request::One(words)).await {
        Ok(Value::ServerError(error)) => Err(RedisRefusal::of(&error).into_error()),
        Ok(reply) => Ok(reply),
        // A question changes nothing, so it does not matter how far it got.
        Err(lost) => Err(StoreError::not_sent(format!("Redis at {server} did not answer: {lost}"))),
    }
}
