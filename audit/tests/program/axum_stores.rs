//! What axum's handlers write through types of the tree, and through its libraries for databases.

use crate::tree::Tree;

const MAIN: &str = "mod orders;\nuse axum::{Router, routing::{post, put}};\n\
    pub fn app(state: AppState) -> Router {\n  Router::new().route(\"/orders\", post(orders::place)).with_state(state)\n}\n";

fn highs(files: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec![("Cargo.toml", "[package]\nname = \"shop\"\n"), ("src/main.rs", MAIN)];
    all.extend(files);
    let run = Tree::new(&all).run(&[".", "--format", "json"]);
    let json = run.json();
    let findings = json["findings"].as_array().unwrap();
    let high = findings.iter().filter(|finding| finding["severity"] == "high");
    high.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

fn handler(body: &str, more: &str) -> String {
    format!(
        "use axum::{{Json, extract::State, http::StatusCode}};\n{more}\n\
         pub async fn place(State(state): State<AppState>, Json(body): Json<NewOrder>) -> StatusCode {{\n{body}\n  StatusCode::CREATED\n}}\n"
    )
}

#[test]
fn methods_of_a_type_that_its_own_function_makes_are_followed() {
    let repo = "pub struct Repo { pool: PgPool }\nimpl Repo {\n  pub fn new(pool: PgPool) -> Self { Self { pool } }\n\
        pub async fn place(&self, total: i64) { sqlx::query(\"INSERT INTO orders (total) VALUES ($1)\").bind(total).execute(&self.pool).await.unwrap(); }\n}\n";
    let main = MAIN.replace("mod orders;", "mod orders;\nmod repo;");
    let body = handler(
        "  let repo = Repo::new(state.pool.clone());\n  repo.place(body.total).await;",
        "use crate::repo::Repo;",
    );
    assert_eq!(highs(&[("src/main.rs", &main), ("src/repo.rs", repo), ("src/orders.rs", &body)]), ["key-missing"]);
    let quiet = body.replace("  repo.place(body.total).await;", "  // repo.place(body.total).await;");
    assert_eq!(highs(&[("src/main.rs", &main), ("src/repo.rs", repo), ("src/orders.rs", &quiet)]), [""; 0]);
}

#[test]
fn orders_of_every_library_are_orders() {
    for statement in [
        "  let order = order::ActiveModel { total: Set(body.total), ..Default::default() };\n  order.insert(&state.db).await.unwrap();",
        "  diesel::insert_into(orders::table).values(&body).execute(&mut state.conn()).await.unwrap();",
        "  sqlx::query!(\"INSERT INTO orders (total) VALUES ($1)\", body.total).execute(&state.pool).await.unwrap();",
    ] {
        assert_eq!(highs(&[("src/orders.rs", &handler(statement, ""))]), ["key-missing"], "{statement}");
        let other = statement.replace("order", "note");
        assert_eq!(highs(&[("src/orders.rs", &handler(&other, ""))]), [""; 0], "{other}");
    }
}

#[test]
fn what_stripes_client_for_rust_is_told_is_read() {
    let paid = |amount: &str, client: &str| {
        handler(
            &format!(
                "  let price = sqlx::query_scalar(\"SELECT price FROM products\").fetch_one(&state.pool).await.unwrap();\n\
                 let mut params = CreatePaymentIntent::new({amount}, Currency::EUR);\n  params.description = Some(\"an order\");\n\
                 PaymentIntent::create({client}, params).await.unwrap();"
            ),
            "use stripe::{CreatePaymentIntent, Currency, PaymentIntent};",
        )
    };
    let rules = ["amount-from-request", "key-missing", "provider-key-missing"];
    let mut found = highs(&[("src/orders.rs", &paid("body.total", "&state.stripe"))]);
    found.sort();
    assert_eq!(found, rules);
    let client = "&state.stripe.clone().with_strategy(RequestStrategy::Idempotent(body.id.clone()))";
    assert_eq!(highs(&[("src/orders.rs", &paid("price", client))]), ["key-missing"]);
}

#[test]
fn an_extractor_of_the_service_that_verifies_is_followed() {
    let main = MAIN.replace("/orders", "/webhooks/stripe");
    let webhook = |verifies: &str| {
        format!(
            "use axum::{{extract::{{FromRequest, Request, State}}, http::StatusCode}};\npub struct Signed(pub stripe::Event);\n\
             impl<S: Send + Sync> FromRequest<S> for Signed {{\n  type Rejection = StatusCode;\n\
             async fn from_request(req: Request, state: &S) -> Result<Self, StatusCode> {{\n\
             let signature = req.headers().get(\"stripe-signature\").cloned().ok_or(StatusCode::BAD_REQUEST)?;\n\
             let raw = String::from_request(req, state).await.map_err(|_| StatusCode::BAD_REQUEST)?;\n    {verifies}\n  }}\n}}\n\
             pub async fn place(State(state): State<AppState>, Signed(event): Signed) -> StatusCode {{\n\
             sqlx::query(\"UPDATE orders SET status = 'paid' WHERE id = $1\").bind(event.id).execute(&state.pool).await.unwrap();\n  StatusCode::OK\n}}\n"
        )
    };
    let good = "Ok(Self(stripe::Webhook::construct_event(&raw, signature.to_str().unwrap(), SECRET).map_err(|_| StatusCode::BAD_REQUEST)?))";
    assert_eq!(highs(&[("src/main.rs", &main), ("src/orders.rs", &webhook(good))]), [""; 0]);
    let bad = format!("// {good}\n    Ok(Self(serde_json::from_str(&raw).map_err(|_| StatusCode::BAD_REQUEST)?))");
    assert_eq!(highs(&[("src/main.rs", &main), ("src/orders.rs", &webhook(&bad))]), ["webhook-unsigned"]);
}
