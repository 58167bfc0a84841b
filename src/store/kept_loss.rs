//! What a store last said of its restart, for as long as it holds.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::RestartLoss;

/// How long an answer is kept: a setting is changed by hand, and a redemption waits for no second round trip.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The last answer, for as long as it holds.
#[derive(Debug, Default)]
pub(super) struct KeptLoss(Mutex<Option<Answer>>);

#[derive(Clone, Copy, Debug)]
struct Answer {
    loss: RestartLoss,
    at: Instant,
    connection: u64,
}

impl KeptLoss {
    /// The answer of the last minute that came over this connection, or the one that comes now. However many ask, one
    /// question is under way; dropped, it is left to the next one who asks.
    pub(super) async fn recent<E>(
        &self,
        connection: u64,
        ask: impl Future<Output = Result<RestartLoss, E>>,
    ) -> Result<RestartLoss, E> {
        let mut kept = self.0.lock().await;
        let at = Instant::now();
        match *kept {
            Some(answer) if answer.connection == connection && answer.at.elapsed() < KEPT_FOR => Ok(answer.loss),
            _ => {
                let loss = ask.await?;
                *kept = Some(Answer { loss, at, connection });
                Ok(loss)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_minute_on_its_connection() {
        let kept = KeptLoss::default();
        let say = |loss| async move { Ok::<_, Infallible>(loss) };
        let ask = async |connection, loss| kept.recent(connection, say(loss)).await;
        assert_eq!(ask(1, RestartLoss::Second).await, Ok(RestartLoss::Second));
        advance(Duration::from_millis(59_999)).await;
        assert_eq!(ask(1, RestartLoss::All).await, Ok(RestartLoss::Second));
        assert_eq!(ask(2, RestartLoss::Snapshot).await, Ok(RestartLoss::Snapshot));
        assert_eq!(ask(2, RestartLoss::All).await, Ok(RestartLoss::Snapshot));
        advance(KEPT_FOR).await;
        assert_eq!(ask(2, RestartLoss::All).await, Ok(RestartLoss::All));
    }

    #[tokio::test]
    async fn a_question_without_an_answer_keeps_none() {
        let kept = KeptLoss::default();
        assert_eq!(kept.recent(1, async { Err("away") }).await, Err("away"));
        assert_eq!(kept.recent(1, async { Ok::<_, &str>(RestartLoss::Second) }).await, Ok(RestartLoss::Second));
    }
}
