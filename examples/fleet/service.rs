//! One checkout service of the fleet: a validator on the shared store, and a line of JSON for each answer.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use payproof::redeem::{Occasion, RedeemError};
use payproof::store::RedisStore;
use payproof::{BuildError, Currency, Degradation, Money, PaymentIntent, Stripe, ValidateError, Validator, Verdict};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// What makes a process a service: its settings.
pub(crate) const SETTINGS: &str = "PAYPROOF_FLEET_SERVICE";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) provider: String,
    pub(crate) redis: String,
    pub(crate) prefix: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Is the store fit?
    Check,
    Validate {
        payment: String,
    },
    Redeem {
        payment: String,
        order: String,
    },
    Forget {
        payment: String,
    },
    /// How often did you take over from a process that ended in the middle of a call?
    TakenOver,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Fit,
    Unfit(String),
    Valid {
        provenance: String,
        /// Calls to the provider that this answer took.
        calls: usize,
        without_store: bool,
    },
    Invalid(String),
    Redeemed,
    Used(String),
    Forgotten,
    TakenOver(u64),
    Error(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) what: T,
}

/// In production the account is your own, and the URLs are the provider's and your Redis's; the store's limits and the lease may stay the defaults.
fn validator(settings: &Settings) -> Result<Validator, BuildError> {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(&settings.provider).own_account("acct_sandbox").build()?;
    Validator::builder(stripe)
        .store(RedisStore::new(&settings.redis)?)
        .store_prefix(settings.prefix.as_str())
        .store_timeout(Duration::from_millis(500))
        // Short, so that no caller waits long for a process that died. A process that lives renews it.
        .renewed_lease(Duration::from_secs(3))
        .build()
}

/// Answers until the input ends, which it does with the parent.
pub(crate) async fn serve(settings: &str) -> Result<(), Box<dyn Error>> {
    let validator = validator(&serde_json::from_str(settings)?)?;
    let (to, mut lines) = mpsc::unbounded_channel();
    // Reading blocks. The sender goes with its thread, at the end of the input.
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    while let Some(line) = lines.recv().await {
        let Numbered { number, what } = serde_json::from_str(&line)?;
        let validator = validator.clone();
        tokio::spawn(async move {
            let reply = answer(&validator, what).await.unwrap_or_else(|error| Reply::Error(error.to_string()));
            let line = serde_json::to_string(&Numbered { number, what: reply }).unwrap_or_default();
            // The parent may be gone, and then so is this process soon.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        });
    }
    Ok(())
}

async fn answer(validator: &Validator, request: Request) -> Result<Reply, Box<dyn Error + Send + Sync>> {
    Ok(match request {
        Request::Check => {
            let store_check = validator.check_store().await;
            let findings: Vec<String> = store_check.findings.iter().map(ToString::to_string).collect();
            if store_check.is_fit() { Reply::Fit } else { Reply::Unfit(findings.join("; ")) }
        }
        Request::Validate { payment } => validate(validator, &payment).await?,
        Request::Redeem { payment, order } => redeem(validator, &payment, order).await?,
        Request::Forget { payment } => {
            let intent = intent(&payment)?;
            // A redemption is kept for 400 days; this is an example, and takes it back.
            if let Some(redemption) = validator.redemption(intent.payment()).await? {
                validator.release(redemption.receipt(), "the example").await?;
            }
            validator.forget(intent.payment()).await?;
            Reply::Forgotten
        }
        Request::TakenOver => Reply::TakenOver(validator.stats().taken_over),
    })
}

async fn validate(validator: &Validator, payment: &str) -> Result<Reply, Box<dyn Error + Send + Sync>> {
    let validation = match validator.validate(intent(payment)?).await {
        Ok(validation) => validation,
        Err(error) => return Ok(Reply::Error(shown(&error))),
    };
    Ok(match validation.verdict() {
        Verdict::Valid(_) => Reply::Valid {
            provenance: validation.provenance().as_str().into(),
            calls: validation.attempts().len(),
            without_store: validation.degraded() == Some(Degradation::StoreDown),
        },
        verdict => Reply::Invalid(verdict.as_str().into()),
    })
}

async fn redeem(validator: &Validator, payment: &str, order: String) -> Result<Reply, Box<dyn Error + Send + Sync>> {
    let Verdict::Valid(proof) = validator.validate(intent(payment)?).await?.into_verdict() else {
        return Ok(Reply::Invalid("not valid".into()));
    };
    match validator.redeem(proof).order(order).await {
        Ok(redeemed) => match redeemed.occasion() {
            Occasion::First => Ok(Reply::Redeemed),
            Occasion::Repeat { .. } => Ok(Reply::Used("the order was paid before; it is not shipped again".into())),
        },
        Err(error @ RedeemError::AlreadyRedeemed { .. }) => Ok(Reply::Used(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn intent(payment: &str) -> Result<PaymentIntent, Box<dyn Error + Send + Sync>> {
    Ok(PaymentIntent::new("store_42", payment, Money::parse("19.99", Currency::USD)?)?)
}

fn shown(error: &ValidateError) -> String {
    format!("{}: {error}", error.code())
}
