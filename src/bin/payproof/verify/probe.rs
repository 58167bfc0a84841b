//! Counts effects, by asking the address that knows them.

use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use serde_json::Value;

use crate::trouble::Trouble;

use super::answer::{EndpointAnswer, unanswered};

pub(crate) struct EffectProbe {
    pub(crate) client: Client,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) pointer: Option<String>,
}

impl EffectProbe {
    /// How many effects there are by now.
    pub(crate) async fn count(&self) -> Result<u64, Trouble> {
        let response =
            self.client.get(self.url.clone()).headers(self.headers.clone()).send().await.map_err(unanswered)?;
        let EndpointAnswer { status, body, .. } = EndpointAnswer::read(response).await?;
        if status != 200 {
            return Err(Trouble::new(format!("the probe answered {status}; it must answer 200 with a number")));
        }
        number(&body, self.pointer.as_deref()).ok_or_else(|| {
            Trouble::new("the probe's answer holds no number there; it must be a number, or JSON with --probe-pointer")
        })
    }
}

fn number(body: &[u8], pointer: Option<&str>) -> Option<u64> {
    let value: Value = serde_json::from_slice(body).ok()?;
    match value.pointer(pointer.unwrap_or_default())? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(list) => u64::try_from(list.len()).ok(),
        _ => None,
    }
}
