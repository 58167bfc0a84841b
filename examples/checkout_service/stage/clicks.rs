//! A click: a real request to the service, over HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use payproof::envelope::{Failure, Success};

use crate::caller;
use crate::checkouts::Claim;

/// Longer than the service lets a handler run.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser of the stage. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    url: String,
}

/// What the service said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(url: String) -> reqwest::Result<Self> {
        // This client is built without a crypto provider, and asks for one even where no TLS is spoken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { client, url })
    }

    /// Clicks on "pay": the same key says that it is the same click.
    pub(crate) async fn click(&self, key: &str, claim: &Claim) -> reqwest::Result<Said> {
        let request = self.client.post(format!("{}/checkouts", self.url));
        let request = request.bearer_auth(caller::ANNA).header("Idempotency-Key", key);
        Said::read(request.json(claim).send().await?).await
    }

    /// Delivers a webhook, as the provider does.
    pub(crate) async fn deliver(&self, signature: &str, event: String) -> reqwest::Result<Said> {
        let request = self.client.post(format!("{}/webhooks/stripe", self.url));
        Said::read(request.header("Stripe-Signature", signature).body(event).send().await?).await
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Result<Said> {
        Said::read(self.client.get(format!("{}{path}", self.url)).send().await?).await
    }
}

impl Said {
    async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let replayed = response.headers().contains_key("idempotent-replayed");
        Ok(Self { status: response.status().as_u16(), replayed, body: response.text().await? })
    }

    /// The status, with the code of a failure, the word of a webhook's answer, or else the status's name.
    pub(crate) fn label(&self) -> String {
        let word = match serde_json::from_str::<Failure>(&self.body) {
            Ok(failure) => Some(failure.code().to_owned()),
            Err(_) => serde_json::from_str::<Success<String>>(&self.body).ok().map(Success::into_data),
        };
        match word {
            Some(word) => format!("{} {word}", self.status),
            None => StatusCode::from_u16(self.status).unwrap_or_default().to_string(),
        }
    }
}
