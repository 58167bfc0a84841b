//! Shoppers: a few a second, some of whom click twice, pay late, or lie.

use std::sync::Arc;
use std::time::Duration;

use payproof::testing::sandbox::SandboxPayment;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Sale, Stage};

/// A little more than three a second.
const PACE: Duration = Duration::from_millis(300);

/// More at once are not let in: a slow provider must not make them pile up without end.
const AT_ONCE: usize = 60;

/// How long a bank, or the shopper's telephone, takes.
const LATER: Duration = Duration::from_secs(3);

/// What a shopper does. They come in this order, again and again.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Honest,
    /// Two clicks at once with one key.
    DoubleClick,
    /// The same checkout in two tabs, each with its own key.
    TwoTabs,
    /// Comes back a second later, with another key.
    Reload,
    /// Pays one dollar and claims the price.
    Underpaid,
    /// The bank takes its time.
    Pending,
    Declined,
    /// Must confirm in the bank's app first.
    Confirms,
}

const KINDS: [Kind; 10] = [
    Kind::Honest,
    Kind::DoubleClick,
    Kind::Reload,
    Kind::Honest,
    Kind::TwoTabs,
    Kind::Pending,
    Kind::Honest,
    Kind::Underpaid,
    Kind::Confirms,
    Kind::Declined,
];

/// Lets shoppers in while the scene asks for them.
pub(crate) async fn shop(stage: Arc<Stage>) {
    let mut shoppers = JoinSet::new();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for kind in KINDS.into_iter().cycle() {
        while !stage.scene().shoppers {
            stage.shoppers.notified().await;
        }
        pace.tick().await;
        while shoppers.try_join_next().is_some() {}
        if shoppers.len() < AT_ONCE {
            shoppers.spawn(serve(Arc::clone(&stage), kind));
        }
    }
}

async fn serve(stage: Arc<Stage>, kind: Kind) {
    let sale = stage.sale();
    let (id, order, cents) = (&*sale.claim.payment, &*sale.claim.order, sale.cents);
    let paid = sale.paid();
    let payment = match kind {
        Kind::Underpaid => SandboxPayment::paid(id, 100, "usd"),
        Kind::Pending => SandboxPayment::processing(id, cents, "usd"),
        Kind::Declined => SandboxPayment::declined(id, cents, "usd"),
        Kind::Confirms => SandboxPayment::requires_action(id, cents, "usd"),
        Kind::Honest | Kind::DoubleClick | Kind::TwoTabs | Kind::Reload => paid.clone(),
    };
    stage.put(payment, order);
    let first = || stage.click(&sale, "first");
    match kind {
        Kind::Honest | Kind::Underpaid | Kind::Declined => first().await,
        Kind::DoubleClick => {
            tokio::join!(first(), first());
        }
        Kind::TwoTabs => {
            tokio::join!(first(), stage.click(&sale, "second"));
        }
        Kind::Reload => {
            first().await;
            sleep(Duration::from_secs(1)).await;
            stage.click(&sale, "second").await;
        }
        Kind::Pending | Kind::Confirms => {
            first().await;
            sleep(LATER).await;
            stage.put(paid, order);
            // The same click: nothing was done, so the key was given back.
            first().await;
        }
    }
}

impl Stage {
    /// One click; what was said shows on the page, by what the service counts.
    async fn click(&self, sale: &Sale, which: &str) {
        let key = format!("order-{}-{which}", sale.claim.order);
        if let Ok(said) = self.browser.click(&key, &sale.claim).await
            && said.status == 201
        {
            self.lock().sold = Some(sale.clone());
        }
    }
}
