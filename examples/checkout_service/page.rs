//! `GET /`: the page, and the events that keep it current.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::history::History;
use crate::service::Service;
use crate::snapshot::Snapshot;
use crate::stage::Stage;

/// Often enough to look live, seldom enough to read.
const EVERY: Duration = Duration::from_millis(500);

/// One file, with everything in it. Nothing else may load, not even by mistake.
const PAGE: &str = include_str!("page.html");
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; \
    style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The last snapshot, written once for all who look on.
pub(crate) type Current = watch::Receiver<Arc<str>>;

pub(crate) fn routes(current: Current) -> Router {
    Router::new().route("/", get(page)).route("/events", get(events)).with_state(current)
}

/// Takes a snapshot twice a second. When it is dropped, every stream of events ends.
pub(crate) fn publish(service: Arc<Service>, stage: Arc<Stage>) -> (Current, impl Future<Output = ()>) {
    let (to, current) = watch::channel(Arc::from("{}"));
    let publishing = async move {
        let (mut history, mut ticks) = (History::new(), interval(EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let snapshot = Snapshot::take(&service, &stage, &mut history).await;
            // Texts and numbers can always be written.
            to.send_replace(serde_json::to_string(&snapshot).unwrap_or_default().into());
        }
    };
    (current, publishing)
}

async fn page() -> impl IntoResponse {
    const HEADERS: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    (HEADERS, PAGE)
}

async fn events(State(mut current): State<Current>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // A new reader sees the last one at once.
    current.mark_changed();
    let events = stream::unfold(current, async |mut current| {
        current.changed().await.ok()?;
        let snapshot = Arc::clone(&current.borrow_and_update());
        Some((Ok(Event::default().data(snapshot)), current))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
