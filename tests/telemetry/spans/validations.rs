//! The span of one validation, its flight and its attempts.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use payproof::provider::ProviderError;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{IdempotencyKey, Mode, Provenance, Validator};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::{EventSeen, Fields, Read, Seen, SpanSeen, fields, is_ours, validator};
use crate::subscribers;
use crate::support::{self, intent, intent_of, is_valid, ms, paid, provider, secs, settle};

/// Keeps what the crate emits on this thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Collector(Arc<Mutex<Seen>>);

impl Collector {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects until the guard is dropped.
    pub(super) fn install() -> (Self, DefaultGuard) {
        subscribers::there_are_two();
        let collector = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(collector.clone()));
        (collector, guard)
    }

    pub(super) fn spans(&self, name: &str) -> Vec<SpanSeen> {
        self.lock().spans.iter().filter(|span| span.name == name).cloned().collect()
    }

    pub(super) fn events(&self) -> Vec<EventSeen> {
        self.lock().events.clone()
    }

    fn attempts(&self) -> Vec<EventSeen> {
        self.events().into_iter().filter(|event| event.name == "payproof.attempt").collect()
    }

    /// What is told of attempts together.
    fn outages(&self) -> Vec<(Level, String)> {
        let of_outages = |event: &EventSeen| event.name == "payproof.provider_outage";
        self.events().into_iter().filter(of_outages).map(|event| (event.level, event.message)).collect()
    }

    fn with_span(&self, id: &Id, change: impl FnOnce(&mut SpanSeen)) {
        // Ids are used again, so the newest one is meant.
        if let Some(span) = self.lock().spans.iter_mut().rev().find(|span| span.id == *id) {
            change(span);
        }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_ours(attributes.metadata()) {
            return;
        }
        let mut fields = Fields::new();
        attributes.record(&mut Read(&mut fields));
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id()));
        let metadata = attributes.metadata();
        self.lock().spans.push(SpanSeen {
            id: id.clone(),
            name: metadata.name(),
            level: *metadata.level(),
            declared: metadata.fields().iter().map(|field| field.name()).collect(),
            fields,
            parent,
            follows: Vec::new(),
            closed: false,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        self.with_span(id, |span| values.record(&mut Read(&mut span.fields)));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _context: Context<'_, S>) {
        self.with_span(id, |span| span.follows.push(follows.clone()));
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        self.with_span(&id, |span| span.closed = true);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !is_ours(event.metadata()) {
            return;
        }
        let mut fields = Fields::new();
        event.record(&mut Read(&mut fields));
        let span = context.event_span(event).map(|span| span.id());
        let (name, level, target) = (event.metadata().name(), *event.metadata().level(), event.metadata().target());
        let message = fields.remove("message").unwrap_or_default();
        self.lock().events.push(EventSeen { name, level, target, message, fields, span });
    }
}

#[tokio::test(start_paused = true)]
async fn one_validation_is_one_span_with_the_documented_fields() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    let validator = validator(&provider);
    for provenance in ["fresh", "replayed", "replayed"] {
        drop(validator.validate(intent("pi_1")).await.unwrap());
        let spans = collector.spans("payproof.validate");
        let span = spans.last().unwrap();
        let expected = [
            ("provider", "scripted"),
            ("mode", "live"),
            ("payment", "pi_1"),
            ("provenance", provenance),
            ("verdict", "valid"),
        ];
        assert_eq!(span.fields, fields(expected));
        assert_eq!((span.level, span.parent.clone()), (Level::INFO, None));
        assert_eq!(span.declared, ["provider", "mode", "payment", "provenance", "verdict", "code"]);
    }
    assert_eq!(collector.spans("payproof.validate").len(), 3);
    assert_eq!(collector.spans("payproof.flight").len(), 1);
    assert_eq!(collector.events().len(), 1);
    assert_eq!(collector.lock().spans.len(), 4, "there are no other spans");
}

#[tokio::test(start_paused = true)]
async fn a_validation_without_a_verdict_records_its_code() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    provider.script("pi_1", [ProviderError::refused("no").with_status(401)]);
    let validator = validator(&provider);
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert!(validator.validate(intent_of("pi_1", "1.999")).await.is_err());
    let key = || IdempotencyKey::parse("k").unwrap();
    assert!(validator.validate(intent("pi_1").with_key(key())).await.is_ok());
    assert!(validator.validate(intent("pi_2").with_key(key())).await.is_err());
    let codes: Vec<_> =
        collector.spans("payproof.validate").iter().map(|span| span.fields.get("code").cloned()).collect();
    let expected = [Some("provider_refused"), Some("invalid_intent"), None, Some("key_reused")];
    assert_eq!(codes, expected.map(|code| code.map(str::to_owned)));
    for span in collector.spans("payproof.validate") {
        assert_ne!(span.fields.contains_key("code"), span.fields.contains_key("verdict"), "either or: {span:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flight_is_a_child_of_its_leader_and_followers_follow_it() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = validator(&provider);
    let claim = intent("pi_1");
    let (leader, one, two) = (validator.validate(&claim), validator.validate(&claim), validator.validate(&claim));
    let (leader, one, two) = tokio::join!(leader, one, two);
    for (validation, provenance) in
        [(&leader, Provenance::Fresh), (&one, Provenance::Coalesced), (&two, Provenance::Coalesced)]
    {
        assert_eq!(validation.as_ref().unwrap().provenance(), provenance);
    }
    let flights = collector.spans("payproof.flight");
    let [flight] = &flights[..] else { panic!("{flights:?}") };
    assert_eq!(flight.fields, fields([("provider", "scripted"), ("payment", "pi_1")]));
    assert_eq!(flight.declared, ["provider", "payment"]);
    assert_eq!(flight.level, Level::INFO);
    let calls = collector.spans("payproof.validate");
    assert_eq!(calls.len(), 3);
    assert_eq!(flight.parent.as_ref(), Some(&calls[0].id));
    assert_eq!(calls[0].follows, []);
    for follower in &calls[1..] {
        assert_eq!(follower.follows, std::slice::from_ref(&flight.id));
        assert_eq!(follower.fields.get("provenance").map(String::as_str), Some("coalesced"));
    }
    let events = collector.events();
    assert_eq!(events.len(), 1, "one call to the provider");
    assert_eq!(events[0].span.as_ref(), Some(&flight.id), "attempts belong to the flight");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_one_event_with_the_documented_fields() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    let slow = ProviderError::refused("later").with_status(503).with_request_id("req_1").with_retry_after(secs(2));
    provider.script(
        "pi_1",
        [
            Step::Wait(ms(30)),
            Step::from(ProviderError::refused("busy").with_status(502).with_code("bad_gateway")),
            Step::from(slow),
            Step::from(ProviderError::message("connection reset by peer")),
            Step::Wait(ms(7)),
            Step::from(paid("pi_1").with_request_id("req_9")),
        ],
    );
    let validation = validator(&provider).validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    let events = collector.attempts();
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.level == Level::DEBUG && event.target == "payproof::provider"));
    let outages = collector.outages();
    assert_eq!(outages.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [Level::WARN, Level::INFO]);
    assert_eq!(outages[1].1, "the provider answers again");
    let first = [
        ("number", "1"),
        ("reach", "answered"),
        ("status", "502"),
        ("outcome", "transient"),
        ("rule", "status 502"),
        ("duration_ms", "30"),
        ("wait_ms", "100"),
        ("wait_reason", "schedule"),
        ("error", "status 502, bad_gateway: busy"),
    ];
    assert_eq!(events[0].fields, fields(first));
    let (wait, _) = validation.attempts()[1].wait().unwrap();
    let wait = wait.as_millis().to_string();
    let second = [
        ("number", "2"),
        ("reach", "answered"),
        ("status", "503"),
        ("request_id", "req_1"),
        ("outcome", "transient"),
        ("rule", "status 503"),
        ("duration_ms", "0"),
        ("wait_ms", &wait),
        ("wait_reason", "retry_after"),
        ("error", "status 503: later"),
    ];
    assert_eq!(events[1].fields, fields(second));
    let third = &events[2].fields;
    assert_eq!((third["reach"].as_str(), third["outcome"].as_str()), ("maybe_sent", "transient"));
    assert!(third["rule"].starts_with("pattern "), "{third:?}");
    assert!(!third.contains_key("status") && !third.contains_key("request_id"));
    let last =
        [("number", "4"), ("reach", "answered"), ("request_id", "req_9"), ("outcome", "facts"), ("duration_ms", "7")];
    assert_eq!(events[3].fields, fields(last));
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_has_an_event_without_a_wait() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    provider.script("pi_1", [ProviderError::refused("bad key").with_status(401)]);
    assert!(validator(&provider).validate(intent("pi_1")).await.is_err());
    let events = collector.attempts();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(collector.outages().len(), 1);
    let expected = [
        ("number", "1"),
        ("reach", "answered"),
        ("status", "401"),
        ("outcome", "permanent"),
        ("rule", "status 401"),
        ("duration_ms", "0"),
        ("error", "status 401: bad key"),
    ];
    assert_eq!((event.level, &event.fields), (Level::DEBUG, &fields(expected)));
}

#[tokio::test(start_paused = true)]
async fn spans_close_when_the_work_is_over_and_not_when_the_answer_is_dropped() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    let validator = validator(&provider);
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    settle().await;
    // A caller may keep the answer for an hour; the durations that exporters compute end here.
    for name in ["payproof.validate", "payproof.flight"] {
        let spans = collector.spans(name);
        assert!(spans.len() == 1 && spans[0].closed, "{name} is still open while the answer is held");
    }
    drop(validation);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_closes_its_span_and_the_flight_goes_on() {
    let (collector, _guard) = Collector::install();
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = validator(&provider);
    {
        let mut call = pin!(validator.validate(intent("pi_1")));
        assert!(support::poll_once(call.as_mut()).await.is_pending());
    }
    tokio::time::sleep(secs(2)).await;
    settle().await;
    let spans = collector.spans("payproof.validate");
    assert!(spans.len() == 1 && spans[0].closed && !spans[0].fields.contains_key("verdict"), "{spans:?}");
    assert!(collector.spans("payproof.flight")[0].closed);
    assert_eq!(collector.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_leaves_no_trace() {
    let (collector, _guard) = Collector::install();
    let validator = validator(&provider());
    drop(validator.validate(intent("pi_1")));
    assert!(collector.lock().spans.is_empty());
    assert_eq!(validator.stats().misses, 0);
}

#[tokio::test(start_paused = true)]
async fn the_mode_in_the_span_is_the_validators() {
    let (collector, _guard) = Collector::install();
    let provider = ScriptedProvider::test_mode();
    provider.put(paid("pi_1").with_mode(Mode::Test));
    let validator = Validator::builder(provider).mode(Mode::Test).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(collector.spans("payproof.validate")[0].fields["mode"], "test");
}
