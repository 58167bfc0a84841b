//! What an endpoint answered, as far as idempotency goes.

use reqwest::Response;

use crate::trouble::Trouble;

/// More than this is no answer of a checkout.
const MOST: usize = 1 << 20;

/// Marks what was answered before.
const REPLAYED: &str = "idempotent-replayed";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointAnswer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) is_replayed: bool,
}

impl EndpointAnswer {
    pub(crate) async fn read(mut response: Response) -> Result<Self, Trouble> {
        let status = response.status().as_u16();
        let is_replayed = response.headers().get(REPLAYED).is_some_and(|value| value == "true");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len().saturating_add(chunk.len()) > MOST {
                return Err(Trouble::new("the answer is larger than 1 MiB; use an endpoint whose answers are small"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, body, is_replayed })
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The same to its caller. Whether it is marked is another matter.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        (self.status, &self.body) == (other.status, &other.body)
    }
}

/// The address may hold a token, and so is not repeated.
pub(crate) fn unanswered(error: reqwest::Error) -> Trouble {
    Trouble::because("no answer; check the address and whether the service runs", &error.without_url())
}
