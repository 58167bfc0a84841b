//! What stands around the service so that there is something to look at: a provider that does as it is told, shoppers who
//! click, and the controls of the page. A service of your own needs none of it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use serde::Serialize;
use tokio::sync::Notify;

use crate::checkouts::Claim;
use crate::service::Service;

mod burst;
mod clicks;
mod condition;
mod controls;
mod parts;
mod refund;
mod shoppers;

pub(crate) use burst::{Burst, Keys};
pub(crate) use clicks::Browser;
pub(crate) use condition::{Condition, StoreSwitch};
pub(crate) use controls::routes;
pub(crate) use parts::Parts;
pub(crate) use refund::Refund;
pub(crate) use shoppers::shop;

/// The tenant of the token that the shoppers use.
const TENANT: &str = "store_42";

/// Around the service.
#[derive(Debug)]
pub(crate) struct Stage {
    sandbox: Sandbox,
    service: Arc<Service>,
    browser: Browser,
    orders: AtomicU64,
    /// One burst, refund or round through the parts at a time.
    busy: tokio::sync::Mutex<()>,
    /// Wakes the shoppers.
    shoppers: Notify,
    scene: Mutex<Scene>,
}

/// What the page shows of the stage.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Scene {
    pub(crate) condition: Condition,
    pub(crate) store_down: bool,
    /// What each part did when the store was switched last.
    pub(crate) parts: Option<Parts>,
    pub(crate) shoppers: bool,
    pub(crate) burst: Option<Burst>,
    pub(crate) refund: Option<Refund>,
    /// The last payment that made an order.
    #[serde(skip)]
    sold: Option<Sale>,
}

/// A payment at the provider, and the honest claim about it.
#[derive(Clone, Debug)]
struct Sale {
    cents: u64,
    claim: Claim,
}

/// Starts the provider, with one payment for users of the command line.
pub(crate) async fn provider() -> io::Result<Sandbox> {
    let sandbox = Sandbox::builder().latency(condition::LATENCY).start().await?;
    sandbox.put(SandboxPayment::paid("pi_demo", 1999, "usd").tenant(TENANT).order("6735"));
    Ok(sandbox)
}

impl Stage {
    pub(crate) fn new(sandbox: Sandbox, service: Arc<Service>, browser: Browser) -> Self {
        Self {
            sandbox,
            service,
            browser,
            orders: AtomicU64::new(1000),
            busy: tokio::sync::Mutex::default(),
            shoppers: Notify::new(),
            scene: Mutex::default(),
        }
    }

    pub(crate) fn scene(&self) -> Scene {
        self.lock().clone()
    }

    /// Calls that reached the provider, as it counted them itself.
    pub(crate) fn provider_calls(&self) -> u64 {
        self.sandbox.requests()
    }

    pub(crate) fn set_condition(&self, condition: Condition) {
        self.sandbox.set_faults(condition.faults());
        self.lock().condition = condition;
    }

    pub(crate) fn set_shoppers(&self, shoppers: bool) {
        self.lock().shoppers = shoppers;
        self.shoppers.notify_one();
    }

    /// A new order with its price; nothing is paid yet.
    fn sale(&self) -> Sale {
        let number = self.orders.fetch_add(1, Relaxed);
        let (cents, amount) = match number % 4 {
            0 => (1999, "19.99"),
            1 => (450, "4.50"),
            2 => (12_000, "120.00"),
            _ => (875, "8.75"),
        };
        let claim = Claim {
            payment: format!("pi_shop_{number}"),
            amount: amount.into(),
            currency: "USD".into(),
            order: number.to_string(),
        };
        Sale { cents, claim }
    }

    /// Puts a payment into the provider, as what the shopper did in the browser left it.
    fn put(&self, payment: SandboxPayment, order: &str) {
        self.sandbox.put(payment.tenant(TENANT).order(order));
    }

    fn lock(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sale {
    fn paid(&self) -> SandboxPayment {
        SandboxPayment::paid(&self.claim.payment, self.cents, &self.claim.currency)
    }
}
