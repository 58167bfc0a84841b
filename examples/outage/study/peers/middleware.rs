//! reqwest-middleware and reqwest-retry, whose last middleware answers from the model.
//!
//! What stays silent goes on to a real reqwest client that resolves no name, so that its own time-out ends it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http;
use rand::RngExt;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::{Method, Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_retry::{Jitter, RetryDecision, RetryPolicy, RetryTransientMiddleware};

use super::Dice;
use crate::study::model::{ATTEMPT_TIMEOUT, Answer, Model, RETRY_AFTER};

/// Never resolves a name.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _name: Name) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// reqwest-retry's own schedule, with its full jitter drawn from the seed.
struct Seeded {
    schedule: ExponentialBackoff,
    dice: Dice,
}

impl RetryPolicy for Seeded {
    fn should_retry(&self, started: SystemTime, past: u32) -> RetryDecision {
        let now = SystemTime::now();
        match self.schedule.should_retry(started, past) {
            RetryDecision::Retry { execute_after } => {
                let most = execute_after.duration_since(now).unwrap_or_default();
                let wait = most.mul_f64(self.dice.roll(RngExt::random));
                // In whole milliseconds, as the clock counts, so that the time this takes does not show.
                RetryDecision::Retry { execute_after: now + Duration::from_millis(wait.as_millis() as u64) }
            }
            decision @ RetryDecision::DoNotRetry => decision,
        }
    }
}

#[derive(Clone, Copy)]
struct Caller(usize);

type Answered<'a> = Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'a>>;

/// Tells the compiler which lifetimes a middleware's closure has.
fn as_middleware<F>(middleware: F) -> F
where
    F: for<'a> Fn(Request, &'a mut http::Extensions, Next<'a>) -> Answered<'a> + Send + Sync + 'static,
{
    middleware
}

pub(super) fn client(model: Arc<Model>, dice: Dice) -> ClientWithMiddleware {
    let schedule = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(100), Duration::from_secs(10))
        .jitter(Jitter::None)
        .build_with_max_retries(3);
    let answers = as_middleware(move |request, extensions, next| {
        let model = Arc::clone(&model);
        Box::pin(async move {
            let Caller(caller) = extensions.get().expect("every request has its caller");
            match model.call(*caller).await {
                Answer::Silent => next.run(request, extensions).await,
                answer => Ok(response(answer)),
            }
        })
    });
    let retries = RetryTransientMiddleware::new_with_policy(Seeded { schedule, dice });
    ClientBuilder::new(silent()).with(retries).with(answers).build()
}

fn response(answer: Answer) -> Response {
    let response = match answer {
        Answer::Paid => http::Response::builder().status(200),
        Answer::Failed | Answer::Silent => http::Response::builder().status(503),
        Answer::Limited { told: false } => http::Response::builder().status(429),
        Answer::Limited { told: true } => {
            http::Response::builder().status(429).header("retry-after", RETRY_AFTER.as_secs())
        }
    };
    response.body("").expect("the parts are valid").into()
}

/// A client whose requests end by their time-out.
fn silent() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls);
    builder.dns_resolver(Arc::new(Nowhere)).timeout(ATTEMPT_TIMEOUT).build().expect("settings fit")
}

pub(super) async fn is_valid(client: &ClientWithMiddleware, caller: usize) -> bool {
    let url = Url::parse("http://provider.invalid/").expect("a plain URL");
    let mut extensions = http::Extensions::new();
    extensions.insert(Caller(caller));
    let answered = client.execute_with_extensions(Request::new(Method::GET, url), &mut extensions).await;
    answered.is_ok_and(|response| response.status().is_success())
}
