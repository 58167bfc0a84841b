//! What the record of a request holds.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::status_meaning::StatusMeaning;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Held, LedgerError, Versioned};

/// Everything that outlives the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RequestPayload<'p> {
    fingerprint: [u8; 32],
    #[serde(borrow)]
    pub(super) phase: RequestPhase<'p>,
}

/// How far the request has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum RequestPhase<'p> {
    /// Its handler runs, or did when its process ended.
    UnderWay,
    /// It was answered.
    #[serde(borrow)]
    Done(KeptResponse<'p>),
    /// Its handler may have had an effect.
    Indeterminate,
}

/// A response, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptResponse<'p> {
    status: u16,
    #[serde(borrow)]
    headers: Vec<(&'p str, Octets<'p>)>,
    /// `None` when it was too large.
    #[serde(borrow)]
    body: Option<Octets<'p>>,
}

/// Bytes of a header or body.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Octets<'p>(#[serde(borrow, with = "crate::ledger::octets")] &'p [u8]);

impl<'p> Versioned<'p> for RequestPayload<'p> {}

impl<'p> RequestPayload<'p> {
    pub(super) fn new(fingerprint: &Fingerprint, phase: RequestPhase<'p>) -> Self {
        Self { fingerprint: *fingerprint.as_bytes(), phase }
    }

    /// Reads a record. One that holds something else is never a miss.
    pub(super) fn read(held: &'p Held) -> Result<Self, LedgerError> {
        held.payload("holds no request")
    }

    /// The same request, come to this.
    pub(super) fn with(&self, phase: RequestPhase<'p>) -> Self {
        Self { fingerprint: self.fingerprint, phase }
    }

    pub(super) fn is_about(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint.as_bytes()
    }
}

impl<'p> KeptResponse<'p> {
    /// Takes from a response what is kept of it.
    pub(super) fn of(
        status: StatusCode,
        headers: &'p HeaderMap,
        chosen: &'p [HeaderName],
        body: Option<&'p Bytes>,
    ) -> Self {
        let headers = chosen
            .iter()
            .flat_map(|name| headers.get_all(name).iter().map(|value| (name.as_str(), Octets(value.as_bytes()))))
            .collect();
        Self { status: status.as_u16(), headers, body: body.map(|body| Octets(body)) }
    }

    /// What a person says was the answer: this JSON, if it is known.
    pub(super) fn said(json: Option<&'p [u8]>) -> Self {
        let kind = ("content-type", Octets(b"application/json"));
        Self { status: StatusCode::OK.as_u16(), headers: vec![kind], body: json.map(Octets) }
    }

    /// Whether its status says that the handler had its effect; a refusal had none.
    pub(super) fn is_executed(&self) -> bool {
        matches!(StatusMeaning::of(self.status), StatusMeaning::Executed)
    }

    /// The same without its body, where a record has no room for it.
    pub(super) fn without_body(self) -> Self {
        Self { body: None, ..self }
    }

    pub(super) fn replay(&self) -> Replay {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = self.body.map(|Octets(body)| Bytes::copy_from_slice(body));
        let mut headers = HeaderMap::with_capacity(self.headers.len().saturating_add(2));
        for (name, Octets(value)) in &self.headers {
            // Without its body nothing describes it.
            if body.is_none() && name.starts_with("content-") {
                continue;
            }
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        Replay { status, headers, body }
    }
}

/// A response to be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replay {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// `None` when it was too large to be kept.
    pub(super) body: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;
    use crate::ledger::{RecordKind, State};

    #[test]
    fn golden_files_hold_what_is_written_of_requests() {
        let headers = vec![("content-type", Octets(b"application/json")), ("location", Octets(b"/orders/6735"))];
        let kept = KeptResponse { status: 201, headers, body: Some(Octets(br#"{"order":"6735"}"#)) };
        let phases = [
            ("under_way", State::Claimed, RequestPhase::UnderWay),
            ("done", State::Settled, RequestPhase::Done(kept.clone())),
            ("done_without_body", State::Settled, RequestPhase::Done(kept.without_body())),
            ("indeterminate", State::Settled, RequestPhase::Indeterminate),
        ];
        for (variant, state, phase) in phases {
            let payload = RequestPayload { fingerprint: [0x33; 32], phase };
            is_golden(RecordKind::Request, 1, variant, state, variant == "indeterminate", &payload);
        }
    }
}
