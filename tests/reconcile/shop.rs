//! A provider that lists what it has, page by page, and the shop that reconciles with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, stream};
use payproof::provider::{
    Call, ChangeOf, ListCursor, ListOf, ListQuery, Listed, ListedItem, Provider, ProviderError, ProviderIdentity,
};
use payproof::reconcile::{
    Discrepancy, OrderRecord, OrderState, Reconciler, ReconcilerBuilder, Reconciliation, UnusableOrder,
};
use payproof::{
    AliasState, Currency, InvalidIntent, Mode, Money, PaymentAlias, PaymentId, PaymentStatus, ProviderPayment,
    Validator,
};

/// The first second of 2026, in UTC.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600;
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// What is listed, and of which window.
type Listing = (ListOf, Range<u64>);

/// What the provider has, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) payments: BTreeMap<String, ProviderPayment>,
    pub(crate) changes: Vec<(String, u64, ChangeOf)>,
    /// What lists have of payments that have changed since.
    pub(crate) listed: BTreeMap<String, ProviderPayment>,
    /// Sessions, and their payments.
    pub(crate) aliases: BTreeMap<String, String>,
    /// Sessions that have come to no payment.
    pub(crate) without_payment: BTreeMap<String, AliasState>,
    /// Payments that a look-up of is refused.
    pub(crate) broken: Vec<String>,
    /// Payments that a look-up of fails for now.
    pub(crate) failing: Vec<String>,
    /// Payments that the list has and the adapter cannot read.
    pub(crate) unreadable: Vec<String>,
    /// When items were made of which no more than this can be read, on either list.
    pub(crate) nameless: Vec<Range<u64>>,
    /// After this page a list leads back to its first one.
    pub(crate) goes_round_after: Option<usize>,
    /// Every list ends in an error after so many pages.
    pub(crate) pages_before_failure: Option<u64>,
    /// What the provider has forgotten of its changes is older.
    pub(crate) changes_since: Option<u64>,
    /// The list that is read.
    listing: Option<(Listing, Vec<ListedItem>)>,
    pub(crate) shuffled: bool,
    /// Each item comes once more, on another page.
    pub(crate) twice: bool,
    pub(crate) page: usize,
    pub(crate) pages: u64,
    pub(crate) look_ups: Vec<String>,
    /// No look-up comes to an end.
    pub(crate) broken_down: bool,
    /// How long each call takes.
    pub(crate) takes: Duration,
}

/// Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Lister {
    identity: ProviderIdentity,
    pub(crate) world: Arc<Mutex<World>>,
}

impl Lister {
    pub(crate) fn new() -> Self {
        let identity = ProviderIdentity::new("scripted").only_account();
        let world = World { page: 100, ..World::default() };
        Self { identity, world: Arc::new(Mutex::new(world)) }
    }

    pub(crate) fn put(&self, payment: ProviderPayment) {
        self.world.lock().unwrap().payments.insert(payment.id().to_owned(), payment);
    }

    pub(crate) fn change(&self, payment: &str, at: u64, what: ChangeOf) {
        self.world.lock().unwrap().changes.push((payment.to_owned(), at, what));
    }

    fn with<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&self.world.lock().unwrap())
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    pub(crate) fn validator(&self) -> Validator {
        Validator::builder(self.clone()).build().unwrap()
    }

    /// Reconciles one window, with what was exported at its end and half an hour.
    pub(crate) fn window(&self, since: u64, until: u64) -> ReconcilerBuilder {
        self.validator().reconciler().since(since).until(until).orders_as_of(until + 30 * MINUTE).pace(1000)
    }
}

impl World {
    fn page_of(&mut self, query: &ListQuery) -> Result<Listed, ProviderError> {
        self.pages += 1;
        if self.pages_before_failure.is_some_and(|most| self.pages > most) {
            return Err(ProviderError::refused("the list is broken").with_status(400));
        }
        // What one list has is put together for its first page, or for the first one that is asked for here.
        let listing = (query.what(), query.window());
        if query.cursor().is_none() || self.listing.as_ref().is_none_or(|(of, _)| *of != listing) {
            self.listing = Some((listing, self.items(query)));
        }
        let items = self.listing.as_ref().map(|(_, items)| &items[..]).unwrap();
        let from: usize = query.cursor().map_or(0, |cursor| cursor.as_str().parse().unwrap());
        let to = (from + self.page).min(items.len());
        let is_round = self.goes_round_after.is_some_and(|page| to == page * self.page);
        let next = if is_round { Some(0) } else { Some(to).filter(|to| *to < items.len()) };
        let next = next.map(|next| ListCursor::parse(next.to_string()).unwrap());
        let complete_since = self.changes_since.filter(|_| query.what() == ListOf::Changes);
        Ok(Listed { items: items[from..to].to_vec(), next, complete_since })
    }

    fn items(&self, query: &ListQuery) -> Vec<ListedItem> {
        let mut items: Vec<ListedItem> = if query.what() == ListOf::Payments {
            self.payments.iter().filter_map(|(id, payment)| self.item(query, id, payment)).collect()
        } else {
            let inside = self.changes.iter().filter(|(_, at, _)| query.window().contains(at));
            let item = |(id, at, what): &(String, u64, ChangeOf)| {
                let payment = PaymentId::parse(id).unwrap();
                ListedItem::Changed { payment, at: *at, what: *what }
            };
            inside.map(item).collect()
        };
        let window = query.window();
        let nameless = self.nameless.iter().filter(|made| made.start < window.end && window.start < made.end);
        items.extend(nameless.map(|made| ListedItem::Unreadable { payment: None, made: made.clone() }));
        if self.twice {
            items.extend(items.clone());
        }
        if self.shuffled {
            items.reverse();
            let half = items.len() / 2;
            items.rotate_left(half);
        }
        items
    }

    fn item(&self, query: &ListQuery, id: &str, payment: &ProviderPayment) -> Option<ListedItem> {
        let created = created_of(payment);
        if !query.window().contains(&created) {
            return None;
        }
        if self.unreadable.iter().any(|unreadable| unreadable == id) {
            return Some(ListedItem::Unreadable { payment: PaymentId::parse(id).ok(), made: created..created + 1 });
        }
        let listed = self.listed.get(id).unwrap_or(payment);
        Some(ListedItem::Payment(Box::new(listed.clone())))
    }
}

/// When a payment was created: the number behind the last underscore of its metadata `made`.
fn created_of(payment: &ProviderPayment) -> u64 {
    payment.metadata("made").unwrap().parse().unwrap()
}

impl Provider for Lister {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        if payment.as_str().starts_with("ch_") {
            return Err(InvalidIntent::new(payproof::Field::PaymentId, "is a charge's; pass the payment's"));
        }
        Ok(())
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        id.as_str().starts_with("cs_")
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let (takes, broken_down) = self.with(|world| (world.takes, world.broken_down));
        tokio::time::sleep(takes).await;
        if broken_down {
            std::future::pending::<()>().await;
        }
        let mut world = self.world.lock().unwrap();
        world.look_ups.push(payment.to_string());
        if world.broken.iter().any(|broken| broken == payment.as_str()) {
            return Err(ProviderError::refused("not for you").with_status(403));
        }
        if world.failing.iter().any(|failing| failing == payment.as_str()) {
            return Err(ProviderError::outcome_unknown("away").with_status(503));
        }
        if let Some(state) = world.without_payment.get(payment.as_str()) {
            let facts = ProviderPayment::new(payment.as_str(), PaymentStatus::ActionRequired);
            return Ok(facts.with_created(NEW_YEAR).with_alias(PaymentAlias::new(*state)));
        }
        if let Some(of) = world.aliases.get(payment.as_str()) {
            let alias = PaymentAlias::new(AliasState::Complete);
            return Ok(world.payments[of].clone().with_alias(alias));
        }
        let found = world.payments.get(payment.as_str()).cloned();
        Ok(found.unwrap_or_else(|| ProviderPayment::not_found(payment.as_str())))
    }

    async fn list(&self, query: &ListQuery, _call: &Call) -> Result<Listed, ProviderError> {
        let takes = self.world.lock().unwrap().takes;
        tokio::time::sleep(takes).await;
        self.world.lock().unwrap().page_of(query)
    }
}

/// A payment of 20.00 USD by tenant `store_42`, created then, of which the rest is said by setters.
pub(crate) fn payment(id: &str, status: PaymentStatus, created: u64) -> ProviderPayment {
    ProviderPayment::new(id, status)
        .with_mode(Mode::Live)
        .with_amount(2000, Currency::USD)
        .with_amount_received(0)
        .with_amount_refunded(0)
        .with_created(created)
        .with_as_of(created + 60 * DAY)
        .with_metadata("store_id", "store_42")
        .with_metadata("made", created.to_string())
        .with_metadata("name", "Ada Lovelace")
        .with_customer("cus_of_ada")
}

/// The same, paid in full for this order.
pub(crate) fn paid(id: &str, order: &str, created: u64) -> ProviderPayment {
    payment(id, PaymentStatus::Paid, created).with_amount_received(2000).with_metadata("order_id", order)
}

/// An order over 20.00 USD of the same tenant, which names this payment.
pub(crate) fn order(number: &str, payment: &str, state: OrderState, created: u64) -> OrderRecord {
    OrderRecord::new("store_42", number, state)
        .unwrap()
        .with_payment(payment)
        .with_money(usd("20.00"))
        .with_created(created)
}

pub(crate) fn usd(amount: &str) -> Money {
    Money::parse(amount, Currency::USD).unwrap()
}

pub(crate) type Line = Result<OrderRecord, UnusableOrder>;

/// Orders as a reader of lines brings them.
pub(crate) fn lines(orders: impl IntoIterator<Item = OrderRecord>) -> impl Stream<Item = Line> + Send {
    stream::iter(orders.into_iter().map(Ok).collect::<Vec<Line>>())
}

/// Reconciles with these orders.
pub(crate) async fn reconcile(
    reconciler: &Reconciler,
    orders: impl IntoIterator<Item = OrderRecord>,
) -> Reconciliation {
    reconciler.run(lines(orders)).await.unwrap()
}

/// What a report tells.
pub(crate) fn told(report: &Reconciliation) -> Vec<Discrepancy> {
    report.discrepancies().map(|told| told.unwrap()).collect()
}

/// The same, by class, payment and order.
pub(crate) fn named(report: &Reconciliation) -> Vec<String> {
    let text = |told: Discrepancy| {
        let (payment, order) = (told.payment().unwrap_or("-"), told.order().unwrap_or("-"));
        format!("{} {payment} {order}", told.class().code())
    };
    told(report).into_iter().map(text).collect()
}

/// Everything that a report says, as bytes.
pub(crate) fn written(report: &Reconciliation) -> String {
    let mut lines: Vec<String> = told(report).iter().map(|told| serde_json::to_string(told).unwrap()).collect();
    lines.push(format!("{:?}", report.sums().collect::<Vec<_>>()));
    lines.push(format!("{:?}", report.days().collect::<Vec<_>>()));
    lines.push(format!("{:?} {:?} {:?}", report.status(), report.missing(), report.counts()));
    lines.join("\n")
}
