//! Payments of an axum service: requests that are built step by step, layers, and signatures.

use crate::tree::Tree;

/// Every finding but those of the answers' form, as `high rule METHOD path`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let json = Tree::new(files).run(&[".", "--format", "json"]).json();
    let said = |finding: &serde_json::Value| {
        let text = |field: &str| finding[field].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("severity"), text("rule"), text("method"), text("route"))
    };
    let mut said: Vec<String> = json["findings"].as_array().unwrap().iter().map(said).collect();
    said.sort();
    said
}

const TOP: &str = "\
use axum::{Json, Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
fn app() -> Router<App> {
    let inner = Router::new().route(\"/payouts\", post(pay)).layer(axum::middleware::from_fn(known));
    Router::new().merge(inner).route(\"/webhook\", post(news))
}
async fn known(request: Request, next: Next) -> Result<Response, StatusCode> {
    request.headers().get(\"authorization\").ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(next.run(request).await)
}
";

#[test]
fn a_request_that_is_built_step_by_step_is_read_whole() {
    let handlers = "\
async fn pay(State(app): State<App>, Json(asked): Json<Payout>) -> Result<Json<Done>, Failed> {
    // .header(\"Idempotency-Key\", key)
    let pairs = [(\"currency\", \"eur\".to_string()), (\"amount\", asked.cents.to_string())];
    app.http.clone();
    reqwest::Client::new().post(\"https://api.stripe.com/v1/transfers\").bearer_auth(app.secret).form(&pairs).send().await?;
    Ok(Json(Done))
}
async fn news() {}
";
    let expected = [
        "high amount-from-request POST /payouts",
        "high key-missing POST /payouts",
        "high provider-key-missing POST /payouts",
    ];
    assert_eq!(found(&[("src/main.rs", &format!("{TOP}{handlers}"))]), expected);
}

#[test]
fn a_key_in_a_later_step_and_an_amount_of_the_store_are_seen() {
    let handlers = "\
async fn pay(State(app): State<App>, headers: HeaderMap, Json(asked): Json<Payout>) -> Result<Json<Done>, Failed> {
    let key = headers.get(\"idempotency-key\").ok_or(Failed::NoKey)?;
    let cents: i64 = sqlx::query_scalar(\"SELECT cents FROM payouts WHERE id = $1\").bind(asked.id).fetch_one(&app.db).await?;
    let request = reqwest::Client::new().post(\"https://api.stripe.com/v1/transfers\");
    request.header(\"Idempotency-Key\", key).form(&[(\"amount\", cents.to_string())]).send().await?;
    Ok(Json(Done))
}
async fn news() {}
";
    assert_eq!(found(&[("src/main.rs", &format!("{TOP}{handlers}"))]), Vec::<String>::new());
}

#[test]
fn a_balance_that_is_changed_by_a_sum_is_money() {
    let handlers = "\
async fn pay(State(app): State<App>, Json(asked): Json<Payout>) -> Result<Json<Done>, Failed> {
    sqlx::query(\"UPDATE users SET credit_balance = credit_balance - $1 WHERE id = $2\").bind(5).bind(asked.user).execute(&app.db).await?;
    Ok(Json(Done))
}
async fn news() {}
";
    assert_eq!(found(&[("src/main.rs", &format!("{TOP}{handlers}"))]), ["high key-missing POST /payouts"]);
}

#[test]
fn a_mac_that_is_updated_in_place_verifies() {
    let handlers = |check: &str| {
        format!(
            "\
async fn pay() {{}}
async fn news(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<(), Failed> {{
    let sent = headers.get(\"stripe-signature\").and_then(|sent| sent.to_str().ok()).ok_or(Failed::Unsigned)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(app.secret.as_bytes())?;
    mac.update(&body);
    {check}
    sqlx::query(\"UPDATE orders SET status = 'paid' WHERE id = $1\").bind(1).execute(&app.db).await?;
    Ok(())
}}
"
        )
    };
    let unsigned = |check: &str| {
        found(&[("src/main.rs", &format!("{TOP}{}", handlers(check)))])
            .iter()
            .any(|finding| finding == "high webhook-unsigned POST /webhook")
    };
    assert!(unsigned("// mac.verify_slice(sent)?"));
    assert!(!unsigned("mac.verify_slice(&hex::decode(sent)?)?;"));
    assert!(!unsigned("if hex::encode(mac.finalize().into_bytes()) != sent { return Err(Failed::Unsigned); }"));
}
