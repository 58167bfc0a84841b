//! What each rule protects from. docs/auditing.md says it too, with the fix in both languages.

use crate::model::Rule;

impl Rule {
    /// What goes wrong without it.
    #[must_use]
    pub const fn protects(self) -> &'static str {
        match self {
            Self::KeyMissing => {
                "A browser, a proxy or a shopper sends a request again when its answer is lost. Without a key the server cannot \
                 tell the repeat from a second order, and charges or ships twice."
            }
            Self::KeyOptional => "A client that forgets the key is not told, and its repeats act twice.",
            Self::ReplayBeforeAuth => {
                "Recorded answers hold orders and addresses. A request that is answered from the record before its session is \
                 checked hands them to a stranger who has or guesses a key."
            }
            Self::KeyWithoutTenant => {
                "Two tenants may send the same key. If the record is filed under the key alone, one gets the other one's answer, \
                 and its own request is never carried out."
            }
            Self::ReplayWithoutFingerprint => {
                "A client that uses a key again for another request gets the first one's answer, and believes that the second one \
                 was carried out."
            }
            Self::ClaimNotAtomic => {
                "Between the look-up and the write lies the effect. Two requests at once both find nothing, and both act: a double \
                 click is enough."
            }
            Self::KeyVolatile => {
                "A provider knows a repeat by its key. A key from the clock, from chance, or made anew in a retry is another key \
                 each time, so that the provider charges again."
            }
            Self::ProviderKeyMissing => {
                "A call that times out may have been carried out. Without an idempotency key its repeat moves the money a second \
                 time."
            }
            Self::AmountFromRequest => "A shopper can send any amount, and pays one cent for the cart.",
            Self::PaymentUnproven => {
                "A browser can say that it paid. Only the provider knows, so that an order which rests on the request's word is \
                 shipped unpaid."
            }
            Self::PaidUnchecked => {
                "A payment that exists may be pending, failed, of another amount or in another currency. Asking for it proves \
                 nothing until its answer is compared."
            }
            Self::WebhookUnsigned => {
                "The address of a webhook is no secret. Without a signature that is checked first, a stranger marks orders as paid."
            }
            Self::WebhookParsed => {
                "A signature is over bytes. A body that was parsed and written again has other bytes, so that true events are \
                 refused and the check is soon turned off."
            }
            Self::WebhookRepeats => {
                "Providers deliver an event until it is acknowledged, and at times after that. Each delivery that is not known as \
                 a repeat ships or credits again."
            }
            Self::SuccessFlag => {
                "Two signs of success contradict each other: a client that reads the flag misses the status, and one that reads \
                 the status misses the flag."
            }
            Self::Envelope => {
                "A client that finds neither `data` nor `error` guesses, and takes a failure for an empty result."
            }
            Self::ErrorAs200 => {
                "Clients, caches and retries go by the status. An error with 200 is stored, replayed and shown as done."
            }
            Self::Allow => {
                "An allow that fits nothing hides the next finding on its line, and says to readers what is not so."
            }
        }
    }
}
