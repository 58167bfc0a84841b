//! One condition has one code, text, status, wait and advice, whatever the call was for; and the docs of each error name it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "what does not hold here fails the test")]

use std::future::{Future, pending, ready};
use std::time::Duration;

use payproof::envelope::Failure;
use payproof::guard::{Effect, GuardError, Operation, Resolution};
use payproof::provider::{ProviderError, RateLimit};
use payproof::redeem::RedeemError;
use payproof::store::{Claim, Durability, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap};
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault};
use payproof::{
    BuildError, ErrorInfo, IdempotencyKey, InvalidIntent, PaymentId, Proof, ValidateError, Validator, ValidatorBuilder,
};
use tokio::time::advance;

use crate::support::{forgetful, intent, intent_of, paid, paused_runtime, plain, poll_now, proof_of, provider};
use crate::support::{secs, settle};

/// Everything that an error says to services.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    code: &'static str,
    text: String,
    public: String,
    status: u16,
    wait: Option<Duration>,
    is_retryable: bool,
}

/// Whose error it is: the docs with its table.
const VALIDATE: &str = include_str!("../../src/lookup/error.rs");
const GUARD: &str = include_str!("../../src/guard/error.rs");
const RESOLVE: &str = include_str!("../../src/guard/resolve_error.rs");
const REDEEM: &str = include_str!("../../src/redeem/error.rs");
#[cfg(feature = "webhook")]
const WEBHOOK: &str = include_str!("../../src/webhook/error.rs");
const INTENT: &str = include_str!("../../src/intent/invalid_intent.rs");
const BUILD: &str = include_str!("../../src/settings/build_error.rs");

/// Takes down what an error says, and compares it with the docs and with the answer that is made of it.
#[track_caller]
fn said(docs: &str, error: &impl ErrorInfo) -> Said {
    let said = Said {
        code: error.code(),
        text: error.to_string(),
        public: error.public_message(),
        status: error.http_status(),
        wait: error.retry_after(),
        is_retryable: error.is_retryable(),
    };
    let row = format!("| `{}` | {} | {} |", said.code, said.status, if said.is_retryable { "yes" } else { "no" });
    let shared = include_str!("../../src/error_info.rs");
    let table =
        if docs.contains("(crate::ErrorInfo#common-conditions)") { [docs, shared].concat() } else { docs.to_owned() };
    assert!(table.contains(&row), "no table has the row {row}");
    let failure = Failure::from(error);
    assert_eq!((failure.code(), failure.http_status()), (&*said.code.to_ascii_uppercase(), said.status));
    assert_eq!((failure.to_string(), failure.retry_after_secs().is_some()), (said.public.clone(), said.wait.is_some()));
    assert!(!said.text.contains("flights"), "a word of the crate's own: {}", said.text);
    said
}

/// That every call says the same of the same condition.
#[track_caller]
fn assert_one(code: &str, all: &[Said]) {
    for said in all {
        assert_eq!(Some(said), all.first());
        assert_eq!(said.code, code);
    }
}

/// A validator, and what to redeem: a proof that is too old, so that the provider is asked again.
struct Service {
    provider: ScriptedProvider,
    validator: Validator,
    proof: Proof,
}

async fn service(build: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Service {
    let provider = provider();
    provider.put(paid("pi_2"));
    let builder = forgetful(plain(&provider)).proof_max_age(secs(60));
    let validator = build(builder).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    advance(secs(61)).await;
    Service { provider, validator, proof }
}

fn write() -> Operation {
    Operation::new("store_42", "refund", "order 6735", Effect::write()).unwrap()
}

fn read() -> Operation {
    Operation::new("store_42", "look", "order 6735", Effect::Read).unwrap()
}

impl Service {
    async fn validate(&self) -> ValidateError {
        self.validator.validate(intent("pi_2")).await.unwrap_err()
    }

    async fn redeem(&self) -> RedeemError {
        self.validator.redeem(&self.proof).await.unwrap_err()
    }

    async fn run<Fut>(&self, operation: &Operation, call: impl Fn() -> Fut + Send + Sync + 'static) -> GuardError
    where
        Fut: Future<Output = Result<u32, ProviderError>> + Send + 'static,
    {
        self.validator.guard().run(operation, move |_| call()).await.unwrap_err()
    }

    /// What the three say when the provider fails like this.
    async fn all_fail(&self, error: &ProviderError) -> [Said; 3] {
        self.provider.always(Some(Step::Fail(error.clone())));
        let said_by_provider = error.clone();
        let guarded = self.run(&read(), move || ready(Err(said_by_provider.clone()))).await;
        [said(GUARD, &guarded), said(VALIDATE, &self.validate().await), said(REDEEM, &self.redeem().await)]
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_told_alike() {
    let limit = ProviderError::refused("slow down").with_status(429).with_retry_after(secs(120));
    for (code, error) in [
        ("rate_limited", limit.clone()),
        ("provider_unavailable", ProviderError::refused("busy").with_status(503)),
        ("provider_unavailable", ProviderError::refused("no").with_status(500).permanent_by_header()),
        ("provider_unavailable", ProviderError::not_sent("no route")),
        ("unreadable_answer", ProviderError::unreadable("?").with_status(200)),
        ("unknown", ProviderError::message("the moon is full")),
        ("provider_refused", ProviderError::refused("who are you?").with_status(401)),
    ] {
        let service = service(|builder| builder).await;
        assert_one(code, &service.all_fail(&error).await);
    }
    // The second of two calls finds the gate closed.
    let service = service(|builder| builder).await;
    let closing = limit.with_rate_limit(RateLimit::Account);
    let first = service.all_fail(&closing).await;
    assert_eq!(first[0].code, "rate_limited");
    assert_one("rate_limited", &service.all_fail(&closing).await);
}

#[tokio::test(start_paused = true)]
async fn time_that_is_over_and_a_breaker_that_is_open_are_told_alike() {
    let service = service(|builder| builder.total_deadline(secs(10))).await;
    service.provider.always(Some(Step::Never));
    let guarded = service.run(&read(), pending).await;
    let all = [said(GUARD, &guarded), said(VALIDATE, &service.validate().await), said(REDEEM, &service.redeem().await)];
    assert_one("deadline_exceeded", &all);

    let builder = |builder: ValidatorBuilder| {
        let breaker = payproof::Breaker::new().minimum_attempts(1);
        builder.breaker(breaker.clone()).guard_breaker(breaker)
    };
    let service = self::service(builder).await;
    let busy = ProviderError::refused("busy").with_status(503);
    let _ = service.all_fail(&busy).await;
    let [guarded, validated, redeemed] = service.all_fail(&busy).await;
    // The look-ups have a breaker of their own, which opened at another time.
    assert_one("circuit_open", &[validated.clone(), redeemed]);
    assert_one("circuit_open", &[Said { wait: None, ..guarded }, Said { wait: None, ..validated }]);
}

#[tokio::test(start_paused = true)]
async fn a_service_at_capacity_says_so_without_a_word_of_its_own_parts() {
    let service = service(|builder| builder.max_in_flight(1)).await;
    service.provider.script("pi_3", [Step::Never]);
    let busy = tokio::spawn(service.validator.validate(intent("pi_3")).into_future());
    settle().await;
    let guarded = service.run(&write(), || ready(Ok(1))).await;
    let all = [said(GUARD, &guarded), said(VALIDATE, &service.validate().await), said(REDEEM, &service.redeem().await)];
    assert_one("at_capacity", &all);
    assert_eq!(all[0].text, "there are 1 calls under way already; ask again later, or raise `max_in_flight`");
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_told_alike() {
    for fault in [StoreFault::NotSent, StoreFault::Refused, StoreFault::Never] {
        let store = FlakyStore::new(MemoryStore::new());
        let service = service(|builder| builder.store(store.clone()).proof_max_age(secs(6_000))).await;
        store.always(Some(fault));
        // Of one that hangs, the first two find out by a time-out, and the others are told when to come back.
        let _ = of_the_store(&service).await;
        let all = of_the_store(&service).await;
        assert_one("store_unavailable", &all);
        assert_eq!(all[0].text, "the shared store did not confirm; try again", "what the store said is the source");
    }
}

/// What all four say when the store cannot be used.
async fn of_the_store(service: &Service) -> Vec<Said> {
    let payment = PaymentId::parse("pi_1").unwrap();
    let guarded = service.run(&write(), || ready(Ok(1))).await;
    [
        said(GUARD, &guarded),
        said(GUARD, &service.validator.guard().status(&write()).await.unwrap_err()),
        said(REDEEM, &service.redeem().await),
        said(VALIDATE, &service.validator.stored_facts(&payment).await.unwrap_err()),
        #[cfg(feature = "webhook")]
        said(WEBHOOK, &webhooks::deliver(&service.validator).await),
    ]
    .to_vec()
}

/// A store that holds the same bytes under every key.
#[derive(Debug)]
struct Holds(&'static [u8]);

impl Holds {
    fn stored(&self) -> Stored {
        Stored { bytes: self.0.to_vec(), ttl_left: secs(1_000) }
    }
}

impl Store for Holds {
    async fn get(&self, _key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(Some(self.stored()))
    }

    async fn claim(&self, _key: &str, _value: &[u8], _ttl: Duration) -> Result<Claim, StoreError> {
        Ok(Claim::Held(self.stored()))
    }

    async fn replace(&self, _key: &str, _old: &[u8], _new: &[u8], _ttl: Duration) -> Result<Swap, StoreError> {
        Ok(Swap::Lost(Some(self.stored())))
    }

    async fn remove(&self, _key: &str, _expected: &[u8]) -> Result<Swap, StoreError> {
        Ok(Swap::Lost(Some(self.stored())))
    }

    fn durability(&self) -> Durability {
        MemoryStore::new().durability()
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::Nothing)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        MemoryStore::new().inspect().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_used_is_told_alike() {
    for (bytes, code) in [(&b"OK"[..], "record_unreadable"), (&[2, 0, 1, 2], "record_newer")] {
        let held = forgetful(plain(&provider()).store(Holds(bytes)));
        let validator = held.build().unwrap();
        // The proof is this validator's only where its store can be read.
        let Service { provider, proof, .. } = service(|builder| builder).await;
        let service = Service { provider, validator, proof };
        let all = of_the_store(&service).await;
        assert_one(code, &all);
    }
}

#[test]
fn a_call_outside_a_runtime_is_told_alike() {
    let runtime = paused_runtime();
    let service = runtime.block_on(service(|builder| builder.store(MemoryStore::new())));
    let now = |error| match error {
        std::task::Poll::Ready(error) => error,
        std::task::Poll::Pending => panic!("it waits outside a runtime"),
    };
    let all = [
        now(poll_now(async { said(VALIDATE, &service.validate().await) })),
        now(poll_now(async { said(GUARD, &service.run(&write(), || ready(Ok(1))).await) })),
        now(poll_now(async { said(GUARD, &service.validator.guard().status(&write()).await.unwrap_err()) })),
        now(poll_now(async { said(REDEEM, &service.redeem().await) })),
        #[cfg(feature = "webhook")]
        now(poll_now(async { said(WEBHOOK, &webhooks::deliver(&service.validator).await) })),
    ];
    assert_one("no_runtime", &all);
    assert_eq!((all[0].status, all[0].is_retryable), (500, false), "the service's own fault, and no provider's");
    assert_eq!(all[0].public, "the service is not set up to do this");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_with_other_claims_is_told_alike() {
    let service = service(|builder| builder).await;
    let key = || IdempotencyKey::parse("click-1").unwrap();
    let _ = service.validator.validate(intent("pi_1").with_key(key())).await.unwrap();
    let validated = service.validator.validate(intent_of("pi_1", "20.00").with_key(key())).await.unwrap_err();
    let _ = service.validator.guard().run(&write(), |_| ready(Ok(1))).await.unwrap();
    let guarded = service.run(&write().claim("amount", "2").unwrap(), || ready(Ok(1))).await;
    assert_one("key_reused", &[said(VALIDATE, &validated), said(GUARD, &guarded)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_told_alike_and_named() {
    let store = std::sync::Arc::new(MemoryStore::new());
    let first = service(|builder| builder.store(store.clone())).await;
    let second = service(|builder| builder.store(store.clone()).total_deadline(secs(2))).await;
    first.provider.always(Some(Step::Never));
    let _asking = tokio::spawn(first.validator.validate(intent("pi_2")).into_future());
    let _running =
        tokio::spawn(first.validator.guard().run(&write(), |_| pending::<Result<u32, ProviderError>>()).into_future());
    settle().await;
    let guarded = second.validator.guard().run(&write(), |_| ready(Ok(1_u32))).deadline(secs(1)).await.unwrap_err();
    let all = [
        ("validation of this payment", said(VALIDATE, &second.validate().await)),
        ("run of this operation", said(GUARD, &guarded)),
        ("redemption of the payment or the order", said(REDEEM, &RedeemError::InProgress { retry_after: secs(1) })),
    ];
    for (what, said) in all {
        assert_eq!((said.code, said.status, said.is_retryable), ("in_progress", 409, true));
        assert!(said.wait.is_some());
        assert_eq!(said.text, format!("another {what} is under way; ask again after the given wait"));
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_do_not_do_are_the_services_own_fault() {
    let store = FlakyStore::new(MemoryStore::new());
    store.pretend_restart_loses(RestartLoss::All);
    let service = service(|builder| {
        builder.store(store.clone()).restart_loses_at_most(RestartLoss::Second).proof_max_age(secs(6_000))
    })
    .await;
    let guarded = service.run(&write(), || ready(Ok(1))).await;
    let all = [said(GUARD, &guarded), said(REDEEM, &service.redeem().await)];
    assert_one("restart_loses", &all);
    assert_eq!((all[0].status, &*all[0].public), (500, "the service is not set up to do this"));
    let alone = Validator::builder(provider()).build().unwrap().guard();
    let unshared = said(GUARD, &alone.run(&write(), |_| ready(Ok(1_u32))).await.unwrap_err());
    assert_eq!((unshared.code, RedeemError::StoreNotShared.code()), ("store_not_shared", "store_not_shared"));
    for error in [RedeemError::StoreNotShared, RedeemError::CreatedUnstated] {
        assert_eq!((error.http_status(), error.is_retryable()), (500, false));
        said(REDEEM, &error);
    }
    let refused: BuildError = Validator::builder(provider()).max_in_flight(0).build().unwrap_err();
    assert_eq!(said(BUILD, &refused).code, "misconfigured");
}

#[test]
fn a_claim_that_breaks_a_rule_is_told_alike() {
    let invalid: InvalidIntent = PaymentId::parse("").unwrap_err();
    let all = [
        said(INTENT, &invalid),
        said(VALIDATE, &ValidateError::from(invalid.clone())),
        said(REDEEM, &RedeemError::Invalid(invalid.clone())),
        said(REDEEM, &RedeemError::from(ValidateError::from(invalid))),
    ];
    assert_one("invalid_intent", &all);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_is_told_alike() {
    let service = service(|builder| builder).await;
    service.provider.always(Some(Step::Panic));
    let all = [said(VALIDATE, &service.validate().await), said(REDEEM, &service.redeem().await)];
    assert_one("interrupted", &all);
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_alone_can_say_is_in_its_docs() {
    let service = service(|builder| builder).await;
    let refused = service.run(&write(), || ready(Err(ProviderError::refused("no").with_status(402)))).await;
    assert_eq!(said(GUARD, &refused).code, "refused");
    let lost = || ready(Err(ProviderError::outcome_unknown("cut")));
    let unkeyed = service.run(&write().claim("n", "1").unwrap(), lost).await;
    assert!(unkeyed.is_key_reused());
    let operation = |name, effect| Operation::new("store_42", name, "order 6735", effect).unwrap();
    let in_doubt = said(GUARD, &service.run(&operation("capture", Effect::write()), lost).await);
    assert_eq!((in_doubt.code, in_doubt.status, in_doubt.is_retryable), ("indeterminate", 502, false));
    let keyed = operation("payout", Effect::keyed_write(secs(24 * 60 * 60)));
    let guard = service.validator.guard();
    let protected = guard.run(&keyed, |call| {
        let _ = call.provider_key();
        ready(Err::<u32, _>(ProviderError::outcome_unknown("cut")))
    });
    let protected = said(GUARD, &protected.await.unwrap_err());
    assert_eq!((protected.code, protected.status, protected.is_retryable), ("indeterminate_retryable", 503, true));
    let no_retention = guard.write_retention(Duration::ZERO).run(&write(), |_| ready(Ok(1))).await.unwrap_err();
    assert_eq!(said(GUARD, &no_retention).code, "misconfigured");
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_resolution_from_being_recorded_is_told_alike() {
    let (store, down) = (std::sync::Arc::new(MemoryStore::new()), FlakyStore::new(MemoryStore::new()));
    let service = service(|builder| builder.store(store)).await;
    let guard = service.validator.guard();
    let resolve = |operation: Operation, who| guard.resolve(&operation, Resolution::done_without_result(), who);
    assert_eq!(said(RESOLVE, &resolve(write(), "me").await.unwrap_err()).code, "nothing_to_resolve");
    assert_eq!(said(RESOLVE, &resolve(write(), "").await.unwrap_err()).code, "invalid_resolution");
    let running = tokio::spawn(guard.run(&write(), |_| pending::<Result<u32, ProviderError>>()).into_future());
    settle().await;
    assert_eq!(said(RESOLVE, &resolve(write(), "me").await.unwrap_err()).code, "in_progress");
    let other = write().claim("amount", "2").unwrap();
    let resolved = said(RESOLVE, &resolve(other.clone(), "me").await.unwrap_err());
    assert_one("key_reused", &[resolved, said(GUARD, &guard.status(&other).await.unwrap_err())]);
    running.abort();
    down.always(Some(StoreFault::NotSent));
    let down = self::service(|builder| builder.store(down)).await.validator.guard();
    let resolved = down.resolve(&write(), Resolution::done_without_result(), "me").await.unwrap_err();
    assert_one(
        "store_unavailable",
        &[said(RESOLVE, &resolved), said(GUARD, &down.status(&write()).await.unwrap_err())],
    );
}

#[cfg(feature = "webhook")]
mod webhooks {
    use std::convert::Infallible;
    use std::future::ready;

    use payproof::Validator;
    use payproof::testing::webhook::{EventBody, now, sign};
    use payproof::webhook::{StripeWebhooks, WebhookError};

    /// An event that names no payment, so that its claim is the first that the store is asked for.
    pub(super) async fn deliver(validator: &Validator) -> WebhookError {
        let secret = format!("{}_{}", "whsec", "of_the_orders_endpoint");
        let webhooks = StripeWebhooks::builder(validator, "orders", secret.clone()).build().unwrap();
        let body = EventBody::new("evt_1", "payout.paid", serde_json::json!({ "object": "payout" })).to_string();
        let handler = |_| ready(Ok::<(), Infallible>(()));
        webhooks.receive(Some(&sign(&secret, now(), &body)), &body, handler).await.unwrap_err()
    }
}
