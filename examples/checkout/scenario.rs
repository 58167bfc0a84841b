//! Who checks out, with which payment, and what is true about it.
//!
//! The truth follows from how a payment was put into the sandbox and how the claim was made from it. Nothing here asks
//! payproof, so that the report can be held against it.

use payproof::testing::sandbox::SandboxPayment;
use payproof::{Currency, InvalidIntent, Money, PaymentIntent};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

/// A kind of checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Honest,
    DuplicateClicks,
    ForgedAmount,
    OtherCurrency,
    OtherStore,
    OtherOrder,
    TestPayment,
    Refunded,
    Disputed,
    MadeUp,
    Processing,
    Authorized,
    ThreeDSecure,
}

/// What is true about a payment and the claim made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// Real, ours, and paid in full.
    Paid,
    /// Not paid so far, and may still be.
    NotYet,
    /// The shopper has something to do first.
    ShopperMustAct,
    /// Must not be believed, for a reason with this code.
    Forged(&'static str),
}

impl Kind {
    /// Every kind, and how many of a hundred checkouts are of it.
    pub(crate) const ALL: [(Self, usize); 13] = [
        (Self::Honest, 40),
        (Self::DuplicateClicks, 10),
        (Self::ForgedAmount, 8),
        (Self::OtherCurrency, 4),
        (Self::OtherStore, 5),
        (Self::OtherOrder, 8),
        (Self::TestPayment, 3),
        (Self::Refunded, 4),
        (Self::Disputed, 3),
        (Self::MadeUp, 5),
        (Self::Processing, 4),
        (Self::Authorized, 3),
        (Self::ThreeDSecure, 3),
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::DuplicateClicks => "honest, 5 clicks",
            Self::ForgedAmount => "forged amount",
            Self::OtherCurrency => "forged currency",
            Self::OtherStore => "another store's",
            Self::OtherOrder => "another order's",
            Self::TestPayment => "test payment",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::MadeUp => "made-up id",
            Self::Processing => "still processing",
            Self::Authorized => "authorized only",
            Self::ThreeDSecure => "3-D Secure open",
        }
    }

    pub(crate) const fn truth(self) -> Truth {
        match self {
            Self::Honest | Self::DuplicateClicks => Truth::Paid,
            Self::ForgedAmount => Truth::Forged("amount_mismatch"),
            Self::OtherCurrency => Truth::Forged("currency_mismatch"),
            Self::OtherStore => Truth::Forged("tenant_mismatch"),
            Self::OtherOrder => Truth::Forged("order_mismatch"),
            Self::TestPayment => Truth::Forged("mode_mismatch"),
            Self::Refunded => Truth::Forged("refunded"),
            Self::Disputed => Truth::Forged("disputed"),
            Self::MadeUp => Truth::Forged("not_found"),
            Self::Processing | Self::Authorized => Truth::NotYet,
            Self::ThreeDSecure => Truth::ShopperMustAct,
        }
    }

    /// Clicks at the same moment, and later ones.
    const fn clicks(self) -> (u32, u32) {
        match self {
            Self::DuplicateClicks => (3, 2),
            _ => (1, 0),
        }
    }

    /// Whether the claim is made with another payer's payment, which is real and paid.
    const fn is_theft(self) -> bool {
        matches!(self, Self::ForgedAmount | Self::OtherCurrency | Self::OtherStore | Self::OtherOrder)
    }
}

/// One shopper at the counter.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    pub(crate) kind: Kind,
    pub(crate) intent: PaymentIntent,
    pub(crate) clicks_at_once: u32,
    pub(crate) clicks_later: u32,
}

/// What the sandbox holds, and what is claimed about it, in the order of arrival.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) payments: Vec<SandboxPayment>,
    pub(crate) checkouts: Vec<Checkout>,
}

impl Scenario {
    /// Makes the same checkouts for the same seed.
    pub(crate) fn new(seed: u64, count: u32) -> Result<Self, InvalidIntent> {
        let mut rng = StdRng::seed_from_u64(seed);
        let kinds = deal(count, &mut rng);
        let mut scenario = Self { payments: Vec::new(), checkouts: Vec::new() };
        let mut paid = Vec::new();
        let (thefts, others): (Vec<_>, Vec<_>) = (0..).zip(kinds).partition(|(_, kind)| kind.is_theft());
        for (number, kind) in others {
            let purchase = Purchase::random(number, &mut rng);
            scenario.add(kind, &purchase)?;
            scenario.payments.extend(purchase.payment(kind));
            if kind == Kind::Honest {
                paid.push(purchase);
            }
        }
        for (number, kind) in thefts {
            let own = Purchase::random(number, &mut rng);
            let victim = paid.choose(&mut rng).unwrap_or(&own);
            scenario.add(kind, &victim.stolen(kind, &own))?;
            // With no honest shopper to steal from, as in a very short run, there is still a real payment.
            scenario.payments.extend(paid.is_empty().then(|| own.paid()));
        }
        scenario.checkouts.shuffle(&mut rng);
        Ok(scenario)
    }

    fn add(&mut self, kind: Kind, claim: &Purchase) -> Result<(), InvalidIntent> {
        let (clicks_at_once, clicks_later) = kind.clicks();
        self.checkouts.push(Checkout { kind, intent: claim.intent()?, clicks_at_once, clicks_later });
        Ok(())
    }
}

/// Draws a kind for each checkout, in the proportions of [`Kind::ALL`].
fn deal(count: u32, rng: &mut StdRng) -> Vec<Kind> {
    let mut hundred: Vec<_> = Kind::ALL.iter().flat_map(|(kind, share)| std::iter::repeat_n(*kind, *share)).collect();
    hundred.shuffle(rng);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    hundred.into_iter().cycle().take(count).collect()
}

/// Something bought: the payment's facts when it is put into the sandbox, a claim when it is checked out.
#[derive(Clone, Debug)]
struct Purchase {
    payment: String,
    store: String,
    order: String,
    /// In the provider's minor units.
    minor: u64,
    tender: Tender,
}

/// A currency, and how many decimals its minor unit stands for.
#[derive(Clone, Copy, Debug)]
struct Tender {
    code: &'static str,
    currency: Currency,
    decimals: u32,
}

const DOLLARS: Tender = Tender { code: "usd", currency: Currency::USD, decimals: 2 };
const EUROS: Tender = Tender { code: "eur", currency: Currency::EUR, decimals: 2 };
const YEN: Tender = Tender { code: "jpy", currency: Currency::JPY, decimals: 0 };
const TENDERS: [Tender; 3] = [DOLLARS, EUROS, YEN];

impl Purchase {
    fn random(number: u32, rng: &mut StdRng) -> Self {
        Self {
            payment: format!("pi_{number:06}_{:08x}", rng.random::<u32>()),
            store: format!("store_{}", rng.random_range(1..=20)),
            order: format!("order_{number}"),
            minor: rng.random_range(100..50_000),
            tender: TENDERS.choose(rng).copied().unwrap_or(DOLLARS),
        }
    }

    /// What the shopper claims.
    fn intent(&self) -> Result<PaymentIntent, InvalidIntent> {
        let money = Money::parse(&self.amount(), self.tender.currency)?;
        PaymentIntent::new(&self.store, &self.payment, money)?.with_order(&self.order)
    }

    /// The amount as a checkout shows it: `19.99`.
    fn amount(&self) -> String {
        match self.tender.decimals {
            0 => self.minor.to_string(),
            _ => format!("{}.{:02}", self.minor / 100, self.minor % 100),
        }
    }

    /// This payment, claimed by a thief: exactly one thing about the claim is untrue.
    fn stolen(&self, kind: Kind, thief: &Self) -> Self {
        let mut claim = self.clone();
        match kind {
            Kind::ForgedAmount => claim.minor = self.minor.saturating_add(1),
            // One to one: 500 yen as 500 dollars.
            Kind::OtherCurrency if self.tender.currency == Currency::USD => claim.tender.currency = Currency::EUR,
            Kind::OtherCurrency => claim.tender.currency = Currency::USD,
            Kind::OtherStore => claim.store = format!("{}_next_door", self.store),
            _ => claim.order = format!("{}_of_a_thief", thief.order),
        }
        claim
    }

    /// What the provider knows about it; nothing, if it is made up.
    fn payment(&self, kind: Kind) -> Option<SandboxPayment> {
        let (id, minor, code) = (&*self.payment, self.minor, self.tender.code);
        let payment = match kind {
            Kind::MadeUp => return None,
            Kind::TestPayment => SandboxPayment::paid(id, minor, code).test_mode(),
            Kind::Refunded => SandboxPayment::paid(id, minor, code).refunded(minor),
            Kind::Disputed => SandboxPayment::paid(id, minor, code).disputed(),
            Kind::Processing => SandboxPayment::processing(id, minor, code),
            Kind::Authorized => SandboxPayment::requires_capture(id, minor, code),
            Kind::ThreeDSecure => SandboxPayment::requires_action(id, minor, code),
            _ => SandboxPayment::paid(id, minor, code),
        };
        Some(self.name_owner(payment))
    }

    fn paid(&self) -> SandboxPayment {
        self.name_owner(SandboxPayment::paid(&self.payment, self.minor, self.tender.code))
    }

    /// Writes into the payment's metadata which store and order it is for, as a shop's server does when it makes one.
    fn name_owner(&self, payment: SandboxPayment) -> SandboxPayment {
        payment.tenant(&self.store).order(&self.order)
    }
}
