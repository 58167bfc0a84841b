//! Signatures as Stripe makes them: HMAC-SHA-256 over the time, a dot, and the body byte for byte.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::error::{Rejection, WebhookError};
use crate::accessors::partial_debug;

/// What the secrets of endpoints start with. API keys and ids of endpoints, which are taken for them, do not.
const PREFIX: &str = "whsec_";

/// Room for sixty signatures. While secrets rotate there are two.
const MAX_HEADER: usize = 4 * 1024;

/// The secret of an endpoint, ready to sign. The text itself is not kept.
#[derive(Clone)]
pub(crate) struct SigningSecret(Hmac<Sha256>);

impl SigningSecret {
    /// Takes the secret as Stripe shows it, or says which rule it breaks.
    pub(super) fn parse(secret: &str) -> Result<Self, &'static str> {
        match secret.strip_prefix(PREFIX) {
            _ if secret.is_empty() => Err("must not be empty; it stands in the settings of the endpoint, as whsec_…"),
            None => Err("must start with whsec_; it is neither an API key nor the endpoint's id"),
            Some("") => Err("must not end after whsec_"),
            Some(rest) if !rest.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("must have printable ASCII characters only, without white space or a line break")
            }
            // A key of any length will do, so this error is never seen.
            Some(_) => Self::of(secret).ok_or("must be a key"),
        }
    }

    /// The prefix is part of the key.
    fn of(secret: &str) -> Option<Self> {
        Hmac::new_from_slice(secret.as_bytes()).ok().map(Self)
    }

    fn over(&self, time: &str, body: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(time.as_bytes()).chain_update(b".").chain_update(body)
    }
}

// Shows nothing.
partial_debug!(SigningSecret, self =>);

/// The header that Stripe would send.
#[cfg(feature = "test-util")]
pub(crate) fn sign(secret: &str, unix_seconds: u64, body: &[u8]) -> String {
    let time = unix_seconds.to_string();
    let signature = SigningSecret::of(secret).map(|secret| secret.over(&time, body).finalize().into_bytes());
    format!("t={time},v1={}", base16ct::lower::encode_string(&signature.unwrap_or_default()))
}

/// Checks that this very body was signed with one of the secrets, and not long before or after `now`.
///
/// The time is looked at last, so that what is said of it is said of Stripe's own.
pub(super) fn verify(
    secrets: &[SigningSecret],
    header: &[u8],
    body: &[u8],
    now: Duration,
    tolerance: Duration,
) -> Result<(), WebhookError> {
    let Header { time, seconds, signatures } = Header::parse(header).map_err(Rejection::MalformedSignature)?;
    let is_signed = secrets.iter().any(|secret| {
        let expected = secret.over(time, body);
        signatures.iter().any(|signature| expected.clone().verify_slice(signature).is_ok())
    });
    if !is_signed {
        return Err(Rejection::SignatureMismatch.into());
    }
    let signed = Duration::from_secs(seconds);
    if signed.abs_diff(now) > tolerance {
        return Err(Rejection::OutOfTime { by: signed.abs_diff(now), is_ahead: signed > now, tolerance }.into());
    }
    Ok(())
}

/// `t=1492774577,v1=5257a8…,v1=…,v0=…`
#[derive(Debug)]
struct Header<'h> {
    /// As it stands there, since so it was signed.
    time: &'h str,
    seconds: u64,
    signatures: Vec<Vec<u8>>,
}

impl<'h> Header<'h> {
    fn parse(header: &'h [u8]) -> Result<Self, &'static str> {
        if header.len() > MAX_HEADER {
            return Err("is longer than 4096 bytes");
        }
        let text = std::str::from_utf8(header).map_err(|_| "is no text")?;
        let (mut time, mut is_v1, mut signatures) = (None, false, Vec::new());
        for part in text.split(',') {
            match part.split_once('=').ok_or("has a part without `=`")? {
                ("t", _) if time.is_some() => return Err("states the time more than once"),
                ("t", stated) => time = Some((stated, seconds(stated).ok_or("states no time in seconds")?)),
                ("v1", hex) => {
                    is_v1 = true;
                    // What is no signature matches nothing, and does not stand in the way of one that matches.
                    signatures.extend(base16ct::lower::decode_vec(hex));
                }
                // Schemes that prove nothing, such as v0, or that are not known yet.
                _ => {}
            }
        }
        let (time, seconds) = time.ok_or("states no time")?;
        if is_v1 { Ok(Self { time, seconds, signatures }) } else { Err("has no signature v1") }
    }
}

/// Digits and nothing else: no sign, no blank.
fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{}";
    const TOLERANCE: Duration = Duration::from_secs(300);

    /// Put together here, so that no credential-shaped literal stands in the source.
    fn secret(name: &str) -> SigningSecret {
        SigningSecret::parse(&format!("{PREFIX}{name}")).unwrap()
    }

    fn signature(secret: &SigningSecret, time: &str) -> String {
        base16ct::lower::encode_string(&secret.over(time, BODY).finalize().into_bytes())
    }

    fn check(header: &str, now_ms: u64) -> Result<(), &'static str> {
        let secrets = [secret("first"), secret("second")];
        let now = Duration::from_millis(now_ms);
        verify(&secrets, header.as_bytes(), BODY, now, TOLERANCE).map_err(|error| error.code())
    }

    #[test]
    fn the_tolerance_is_the_same_on_both_sides_and_to_the_millisecond() {
        let header = format!("t=1000,v1={}", signature(&secret("first"), "1000"));
        for (now_ms, expected) in [
            (699_999, Err("signature_out_of_time")),
            (700_000, Ok(())),
            (1_000_000, Ok(())),
            (1_300_000, Ok(())),
            (1_300_001, Err("signature_out_of_time")),
        ] {
            assert_eq!(check(&header, now_ms), expected, "{now_ms}");
        }
    }

    #[test]
    fn any_signature_of_any_secret_will_do() {
        let (first, second) = (signature(&secret("first"), "1000"), signature(&secret("second"), "1000"));
        let (other, cut) = (signature(&secret("other"), "1000"), &first[..62]);
        for (header, is_signed) in [
            (format!("t=1000,v1={first}"), true),
            (format!("t=1000,v1={second}"), true),
            (format!("v1={second},t=1000"), true),
            (format!("t=1000,v1={other},v1={first},v0=00"), true),
            (format!("t=1000,v1=not-hex,v1={cut},v1=,v1={second},new=scheme"), true),
            (format!("t=1000,v1={other}"), false),
            (format!("t=1000,v1={cut}"), false),
            (format!("t=1000,v1={first}00"), false),
            (format!("t=1001,v1={first}"), false),
            (format!("t=01000,v1={first}"), false),
            (format!("t=1000,v1={}", first.to_uppercase()), false),
        ] {
            let expected = if is_signed { Ok(()) } else { Err("signature_mismatch") };
            assert_eq!(check(&header, 1_000_000), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_header_is_told_apart_from_a_wrong_signature() {
        let good = signature(&secret("first"), "1000");
        for header in [
            String::new(),
            ",".into(),
            "t".into(),
            "t=1000".into(),
            format!("v1={good}"),
            format!("t=1000,v0={good}"),
            format!("t=1000,V1={good}"),
            format!("t=1000,t=1000,v1={good}"),
            format!("t=,v1={good}"),
            format!("t=+1000,v1={good}"),
            format!("t=-1000,v1={good}"),
            format!("t=1000.0,v1={good}"),
            format!("t= 1000,v1={good}"),
            format!("t=99999999999999999999,v1={good}"),
            format!("t=1000,v1={good},"),
            format!("t=1000,v1={good}{}", ",x=y".repeat(2_000)),
        ] {
            assert_eq!(check(&header, 1_000_000), Err("signature_malformed"), "{header}");
        }
        let now = Duration::from_secs(1000);
        let error = verify(&[secret("first")], b"t=1\xff", BODY, now, TOLERANCE).unwrap_err();
        assert_eq!(error.code(), "signature_malformed");
    }

    #[test]
    fn only_the_secret_of_an_endpoint_is_taken() {
        for refused in ["", "secret", "we_1", "whsec_", "whsec_a b", "whsec_a\n", " whsec_a", "whsec_ä"] {
            assert!(SigningSecret::parse(refused).is_err(), "{refused}");
        }
    }
}
