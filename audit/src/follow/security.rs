//! Signatures, digests, clocks and random numbers.

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::{Value, total};
use super::words::{has_word, last_part, plain_name, words};
use crate::model::{Binary, EventKind};

/// Calls that yield something new each time.
const RANDOM: &[&str] = &[
    "randomuuid",
    "uuid",
    "uuidv4",
    "v4",
    "v1",
    "v7",
    "nanoid",
    "cuid",
    "createid",
    "ulid",
    "randombytes",
    "random",
    "randomint",
    "uuidv7",
    "getrandomvalues",
    "newv4",
    "newv7",
    "shortid",
    "customalphabet",
    "objectid",
];

impl Follower<'_> {
    pub(crate) fn security_call(
        &mut self,
        path: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Option<Value> {
        let last = last_part(path);
        if let Some(value) = self.clock_or_random(path, last, given) {
            return Some(value);
        }
        match last {
            "createHmac" | "HmacSHA256" | "HmacSHA512" | "hmacSHA256" | "hmacSHA512" | "hmac" | "Hmac" => {
                let sum = if last == "createHmac" { Value::default() } else { total(given) };
                return Some(mac(&sum, path));
            }
            // Rust's `Hmac::new_from_slice(secret)`, which is updated in place.
            "new_from_slice" => return Some(mac(&Value::default(), path)),
            // A verification is told where its result decides: by `?`, or in a condition.
            "verify_slice" | "verify_truncated_left" if function.from.has(Origins::MAC) => {
                let reparsed = if function.from.has(Origins::REPARSED) { Origins::REPARSED } else { Origins::NONE };
                return Some(Value::of(Origins::VERIFIED | reparsed));
            }
            "update" | "digest" | "update_mac" | "chain_update" | "finalize"
                if function.from.has(Origins::MAC) || path.contains("createHash()") =>
            {
                let sum = total(given);
                let mut value = function.clone().tainted(&sum).called(path);
                if value.from.has(Origins::MAC) && is_whole_parsed(&sum) {
                    value.from |= Origins::REPARSED;
                }
                return Some(value);
            }
            "createHash" => return Some(Value::foreign("crypto.createHash()")),
            "timingSafeEqual" | "safeCompare" | "tsscmp" | "timingSafeCompare" => {
                let (one, two) = (given.first()?, given.get(1)?);
                return Some(self.compared(Binary::Equal, one, two, site.frame, site.span));
            }
            "sign" if path.contains("subtle") => return Some(mac(&total(given), path)),
            _ => {}
        }
        self.verification(path, last, given, site)
    }

    fn clock_or_random(&mut self, path: &str, last: &str, given: &[Value]) -> Option<Value> {
        if path == "Date.now"
            || path == "performance.now"
            || path == "Date"
            || ["Utc.now", "Local.now", "SystemTime.now", "Instant.now", "OffsetDateTime.now_utc"]
                .iter()
                .any(|clock| path.ends_with(clock))
        {
            // `new Date(value)` is the value's.
            let from = if given.is_empty() { Origins::CLOCK } else { Origins::NONE };
            return Some(total(given).tainted(&Value::of(from)));
        }
        if matches!(last, "dayjs" | "moment") || path == "dayjs#default" || path == "moment#default" {
            let from = if given.is_empty() { Origins::CLOCK } else { Origins::NONE };
            return Some(total(given).tainted(&Value { from, ..Value::foreign("Date()") }));
        }
        let name = plain_name(last);
        let known = RANDOM.contains(&name.as_str())
            || (last == "default" && has_word(path, &["uuid", "nanoid", "cuid", "uniqid", "shortid"]));
        let plain = given.iter().all(|given| given.from.without(Origins::LITERAL) == Origins::NONE);
        if known && (plain || name != "objectid") && !path.contains('(') {
            if name == "objectid" && !given.is_empty() {
                return Some(total(given));
            }
            return Some(Value { from: Origins::RANDOM, ..Value::foreign("random()") });
        }
        None
    }

    fn verification(&mut self, path: &str, last: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let throws = matches!(
            last,
            "constructEvent"
                | "constructEventAsync"
                | "verifyHeader"
                | "unmarshal"
                | "verifyWebhook"
                | "validateEvent"
                | "construct_event"
        ) || (last == "verify" && path.contains("Webhook()"))
            || (last == "verify" && path.contains("Receiver()"));
        let wraps = matches!(last, "verifySignatureAppRouter" | "verifySignature" | "Webhooks" | "verifySignatureEdge");
        if let Some(wrapped) = Value::wrapping("verify signature", given).filter(|_| wraps) {
            return Some(wrapped);
        }
        if throws {
            let parsed = given.first().is_some_and(|body| is_whole_parsed(&body.whole()));
            self.emit(EventKind::Verify { everywhere: true, parsed }, site.frame, site.span);
            return Some(Value { from: Origins::EVENT, ..Value::foreign(&format!("{last}()")) });
        }
        let names = words(last);
        let verb =
            ["verify", "validate", "valid", "check", "is"].iter().any(|verb| names.iter().any(|name| name == verb));
        let noun = ["signature", "webhook", "hmac", "notification", "ipn"]
            .iter()
            .any(|noun| names.iter().any(|name| name == noun || name.strip_suffix('s') == Some(noun)))
            || last == "validatePaymentVerification";
        let about_jwt = path.to_lowercase().contains("jwt") || path.contains("jose");
        if (verb && noun && !about_jwt) || (last == "verify" && path.contains("subtle")) {
            let mut from = Origins::VERIFIED;
            if given.iter().any(|given| is_whole_parsed(&given.whole())) && last != "validatePaymentVerification" {
                from |= Origins::REPARSED;
            }
            return Some(Value::of(from));
        }
        None
    }
}

fn mac(sum: &Value, path: &str) -> Value {
    let mut from = Origins::MAC | sum.from;
    if is_whole_parsed(sum) {
        from |= Origins::REPARSED;
    }
    Value { from, ..sum.clone() }.called(path)
}

/// Whether it is the whole body after it was parsed, rather than a field of it.
fn is_whole_parsed(value: &Value) -> bool {
    value.from.has(Origins::PARSED)
        && value
            .places
            .as_ref()
            .is_some_and(|places| places.iter().any(|place| matches!(place.as_ref(), "body" | "form")))
}
