//! All that a shop does with its store, for tests of the rights that it needs.

use std::time::Duration;

use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::redeem::Occasion;
use payproof::store::{Severity, Store, StoreFinding};
use payproof::testing::ScriptedProvider;
use payproof::{PaymentId, Provenance, Validator, ValidatorBuilder};

use crate::support::{intent, paid, proof_of};

/// Long enough for a machine that has other things to do: no test is decided by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does all of it, and says what did not work.
pub(crate) async fn use_store(store: impl Store + Clone) -> Result<(), String> {
    let provider = ScriptedProvider::new();
    let payment = PaymentId::parse("pi_1").map_err(|error| error.to_string())?;
    provider.put(paid("pi_1"));
    let process = || process(&provider, store.clone()).build().map_err(|error| error.to_string());
    let (one, other) = (process()?, process()?);

    let found = one.check_store().await.findings;
    let worse = found.iter().find(|finding| finding.severity() > Severity::Note || is_of_right(finding));
    worse.map_or(Ok(()), |finding| Err(format!("the doctor: {finding}")))?;

    one.validate(intent("pi_1")).await.map_err(|error| error.to_string())?;
    let again = other.validate(intent("pi_1")).await.map_err(|error| error.to_string())?;
    if again.provenance() != Provenance::Replayed {
        return Err(format!("not replayed: {:?}", again.provenance()));
    }
    let redeemed = one.redeem(proof_of(&one, intent("pi_1")).await).await.map_err(|error| error.to_string())?;
    if redeemed.occasion() != Occasion::First {
        return Err("not the first".to_owned());
    }
    one.release(redeemed.receipt(), "the test").await.map_err(|error| error.to_string())?;
    let operation =
        Operation::new("store_42", "capture", "6735", Effect::write()).map_err(|error| error.to_string())?;
    let run = one.guard().run(&operation, |_: EffectCall| async { Ok::<_, ProviderError>(1) });
    run.await.map_err(|error| error.to_string())?;
    one.forget(&payment).await.map_err(|error| error.to_string())?;
    let read = store.extras().get_many(&store, &["payproof:a", "payproof:b"]).await;
    read.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    store.extras().add(&store, "payproof:counter", 1, PATIENCE).await.map_err(|error| error.to_string())?;
    Ok(())
}

/// What is noted for want of a right.
pub(crate) fn is_of_right(finding: &StoreFinding) -> bool {
    matches!(finding, StoreFinding::Unknown { .. } | StoreFinding::NoInvalidationLine { .. })
}

fn process(provider: &ScriptedProvider, store: impl Store) -> ValidatorBuilder {
    Validator::builder(provider.clone()).store(store).no_redemptions_before().store_timeout(PATIENCE)
}
