//! What an adapter asks beyond the first request of a look-up.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::provider::{Attempt, Call, ProviderError, ProviderIdentity, provider_fn};
use payproof::{ProviderPayment, Validator, ValidatorBuilder};
use tokio::time::{Instant, sleep};

use super::{limited, rule_of};
use crate::support::{intent, is_valid, ms, paid, secs, settle};

/// When each request was sent, from the start of the test, by its payment.
#[derive(Clone)]
struct Requests {
    start: Instant,
    sent: Arc<Mutex<Vec<(String, Duration)>>>,
    under_way: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

impl Requests {
    fn new() -> Self {
        let (sent, under_way, most) = (Arc::default(), Arc::default(), Arc::default());
        Self { start: Instant::now(), sent, under_way, most }
    }

    /// One request, of a second.
    async fn send(&self, payment: &str) {
        self.sent.lock().unwrap().push((payment.to_owned(), self.start.elapsed()));
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.most.fetch_max(under_way, Ordering::Relaxed);
        sleep(secs(1)).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Asks twice about each payment but `pi_limited`, about which it first tells of a limit of five seconds.
    async fn look_up(self, payment: String, call: Call) -> Result<ProviderPayment, ProviderError> {
        if payment == "pi_limited" && call.attempt() == 1 {
            return Err(limited(Some(secs(5))));
        }
        self.send(&payment).await;
        match call.further().await {
            Ok(_) => self.send(&payment).await,
            Err(error) => return Err(error.with_request_id("req_1")),
        }
        Ok(paid(&payment).with_earlier_request("req_1").with_request_id("req_2"))
    }

    fn validator(&self, set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Validator {
        let requests = self.clone();
        let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
            requests.clone().look_up(payment.as_str().to_owned(), call)
        });
        set(Validator::builder(provider)).build().unwrap()
    }

    fn sent(&self, payment: &str) -> Vec<Duration> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(of, _)| of == payment).map(|(_, at)| *at).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_request_is_part_of_its_attempt_and_costs_no_credit() {
    let requests = Requests::new();
    let validator = requests.validator(|builder| builder);
    let before = validator.stats().credit;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation) && validator.stats().credit >= before);
    let [attempt] = validation.attempts() else { panic!("{validation:?}") };
    assert_eq!((attempt.duration(), attempt.requests(), attempt.request_id()), (secs(2), 2, Some("req_2")));
    assert_eq!(attempt.request_ids().collect::<Vec<_>>(), ["req_1", "req_2"]);
}

/// Asks about a payment while another one is told of a limit.
async fn limited_meanwhile(attempt_timeout: Duration) -> (Vec<Duration>, Vec<String>) {
    let requests = Requests::new();
    let validator = requests.validator(|builder| builder.attempt_timeout(attempt_timeout));
    let call = tokio::spawn(validator.validate(intent("pi_1")).into_future());
    settle().await;
    assert!(validator.validate(intent("pi_limited")).await.is_ok());
    let validation = call.await.unwrap().unwrap();
    assert!(is_valid(&validation));
    let ids = |attempt: &Attempt| attempt.request_ids().map(str::to_owned).collect::<Vec<_>>();
    let shown: Vec<_> = validation.attempts().iter().map(ids).collect();
    let sent = requests.sent("pi_1").len();
    assert_eq!(shown.concat().len(), sent, "{shown:?}");
    (requests.sent("pi_1"), validation.attempts().iter().map(|attempt| rule_of(attempt.outcome())).collect())
}

#[tokio::test(start_paused = true)]
async fn no_further_request_is_sent_while_a_limit_holds_calls_back() {
    let (sent, outcomes) = limited_meanwhile(secs(30)).await;
    assert_eq!((sent, outcomes), (vec![Duration::ZERO, secs(5)], vec!["Facts".to_owned()]));
    // Where the limit outlasts the attempt, the look-up is made again as one of those that wait.
    let (sent, outcomes) = limited_meanwhile(secs(3)).await;
    assert_eq!(outcomes, ["transient by provider code held_back", "Facts"]);
    assert_eq!((sent.len(), sent[0]), (3, Duration::ZERO));
    assert!(sent[1] >= secs(5), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_further_request_keeps_the_place_of_its_attempt() {
    let requests = Requests::new();
    let validator = requests.validator(|builder| builder.max_concurrent(2));
    let ids: Vec<String> = (0..6).map(|number| format!("pi_{number}")).collect();
    let calls: Vec<_> = ids.iter().map(|id| tokio::spawn(validator.validate(intent(id)).into_future())).collect();
    for call in calls {
        assert!(is_valid(&call.await.unwrap().unwrap()));
    }
    assert_eq!(requests.most.load(Ordering::Relaxed), 2);
    for id in &ids {
        let sent = requests.sent(id);
        assert_eq!(sent[1], sent[0] + secs(1), "no other call comes in between");
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_request_ends_with_the_time_of_its_attempt() {
    let requests = Requests::new();
    let validator = requests.validator(|builder| builder.attempt_timeout(ms(1500)).retry(payproof::Retry::none()));
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert!(error.is_timeout() || error.is_unavailable(), "{error:?}");
    assert_eq!(requests.start.elapsed(), ms(1500));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_makes_three_requests_at_most() {
    let admitted = Arc::new(AtomicU32::new(1));
    let count = Arc::clone(&admitted);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, mut call: Call| {
        let count = Arc::clone(&count);
        async move {
            let refused = loop {
                match call.further().await {
                    Ok(further) => call = further,
                    Err(error) => break error,
                }
                count.fetch_add(1, Ordering::Relaxed);
            };
            assert_eq!(refused.code(), Some("too_many_requests"));
            Ok(paid(payment.as_str()))
        }
    });
    let validator = Validator::builder(provider).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(admitted.load(Ordering::Relaxed), 3);
}
