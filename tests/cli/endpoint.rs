//! Endpoints to be verified: one that is idempotent, and several that are not quite.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::testing::ScriptedProvider;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What an endpoint does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Takes no notice of keys.
    IgnoresKeys,
    /// Looks first, and claims the key only when it is done.
    ClaimsLate,
    IsNotMarked,
    /// Answers duplicates with another body.
    AnswersAnew,
    ReplaysOtherBodies,
    NeedsNoKey,
    /// Keeps one answer for all keys.
    MixesKeys,
    /// Answers duplicates as it should, and runs all the same.
    RunsAgain,
    /// None: each body has one effect, whatever the key, as a payment pays one order.
    HasOneEffectPerBody,
    RefusesAll,
    /// Runs whenever it is asked.
    LeavesItToTheLayer,
}

#[derive(Default)]
struct Desk {
    effects: u64,
    requests: u64,
    kept: HashMap<String, (Bytes, String)>,
}

pub(crate) struct Endpoint {
    pub(crate) url: String,
    desk: Arc<Mutex<Desk>>,
    serving: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) async fn start(fault: Fault) -> Self {
        Self::serve(fault, |order| order).await
    }

    async fn serve(fault: Fault, covered: impl FnOnce(MethodRouter<Desks>) -> MethodRouter<Desks>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let desk = Arc::<Mutex<Desk>>::default();
        let router = Router::new()
            .route("/orders", covered(post(order)))
            .route("/count", get(count))
            .route("/stats", get(stats))
            .with_state((Arc::clone(&desk), fault));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, desk, serving }
    }

    /// A handler that knows nothing of keys, below the layer that does.
    pub(crate) async fn behind_the_layer() -> Self {
        let validator = Validator::builder(ScriptedProvider::new()).build().expect("settings fit");
        let scope = |parts: &Parts| {
            let token = parts.headers.get("authorization")?;
            (*token == *format!("Bearer {TOKEN}")).then(|| Scope::new("store_42", "shopper_7").ok())?
        };
        let layer = IdempotencyLayer::builder(&validator, "checkout", Duration::from_secs(5), scope)
            .build()
            .expect("settings fit");
        Self::serve(Fault::LeavesItToTheLayer, move |order| order.layer(layer)).await
    }

    pub(crate) async fn effects(&self) -> u64 {
        self.desk.lock().await.effects
    }

    pub(crate) async fn requests(&self) -> u64 {
        self.desk.lock().await.requests
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Desks = (Arc<Mutex<Desk>>, Fault);

type Shared = State<Desks>;

/// The token that the endpoint wants to see.
pub(crate) const TOKEN: &str = "eyJhPlantedbGci";

async fn order(State((desk, fault)): Shared, headers: HeaderMap, body: Bytes) -> Response {
    desk.lock().await.requests += 1;
    if fault == Fault::RefusesAll
        || headers.get("authorization").is_some_and(|token| *token != *format!("Bearer {TOKEN}"))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let key = match (key, fault) {
        (_, Fault::LeavesItToTheLayer) | (None, Fault::NeedsNoKey | Fault::IgnoresKeys) => {
            return run(&mut *desk.lock().await, None, body);
        }
        (Some(_), Fault::MixesKeys) => "one for all".to_owned(),
        (Some(key), _) => key,
        (None, _) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let mut held = desk.lock().await;
    if let Some((known, answer)) = held.kept.get(&key).filter(|_| fault != Fault::IgnoresKeys).cloned() {
        if known != body && fault != Fault::ReplaysOtherBodies {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        match fault {
            Fault::RunsAgain => held.effects += 1,
            Fault::AnswersAnew => {
                return (StatusCode::CREATED, [("idempotent-replayed", "true")], "anew").into_response();
            }
            Fault::IsNotMarked => return (StatusCode::CREATED, answer).into_response(),
            _ => {}
        }
        return (StatusCode::CREATED, [("idempotent-replayed", "true")], answer).into_response();
    }
    if fault == Fault::ClaimsLate {
        drop(held);
        sleep(Duration::from_millis(200)).await;
        held = desk.lock().await;
    }
    if fault == Fault::HasOneEffectPerBody && held.kept.values().any(|(known, _)| *known == body) {
        held.kept.insert(key, (body, "paid already".to_owned()));
        return (StatusCode::CONFLICT, "paid already").into_response();
    }
    run(&mut held, Some(key), body)
}

fn run(desk: &mut Desk, key: Option<String>, body: Bytes) -> Response {
    desk.effects += 1;
    let answer = format!("order {}", desk.effects);
    if let Some(key) = key {
        desk.kept.insert(key, (body, answer.clone()));
    }
    (StatusCode::CREATED, answer).into_response()
}

async fn count(State((desk, _)): Shared) -> String {
    desk.lock().await.effects.to_string()
}

async fn stats(State((desk, _)): Shared) -> String {
    format!(r#"{{"orders":{{"count":{}}}}}"#, desk.lock().await.effects)
}
