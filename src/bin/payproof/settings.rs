//! The settings that several commands share: the provider, the calls to it, and the store.

use std::env::{self, VarError};
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use payproof::cache::{Cache, CacheBuilder};
use payproof::provider::Provider as _;
use payproof::store::{EnvStore, env_choices, env_variables, from_env_with_prefix};
use payproof::{Mode, Retry, Stripe, StripeBuilder, TenantProof, Units, Validator, ValidatorBuilder};

use crate::trouble::Trouble;

pub(crate) const SECRET_KEY: &str = "STRIPE_SECRET_KEY";
pub(crate) const RECORD_KEY: &str = "PAYPROOF_RECORD_KEY";
pub(crate) const DATABASE_URL: &str = "PAYPROOF_DATABASE_URL";

/// An operator waits for the store longer than a service does.
const CACHE_PATIENCE: Duration = Duration::from_secs(5);

/// What the variables of the store for caches alone begin with.
const CACHE_STORE: &str = "PAYPROOF_CACHE_";

/// A command that asks no provider needs no address, and no root certificates.
const NOWHERE: &str = "http://127.0.0.1:9";

/// In the place of the key where no provider is asked.
const NO_KEY: &str = "unused";

/// What each variable beside those of the store is for.
const VARIABLES: [(&str, &str); 8] = [
    (SECRET_KEY, "the provider's key: sk_… or rk_…"),
    ("STRIPE_ACCOUNT_ID", "the account that the key belongs to: acct_…"),
    ("STRIPE_API_BASE", "where a server is that answers like Stripe"),
    (RECORD_KEY, "the keys that authenticate records: 32 bytes in base64, up to four with commas"),
    (
        "PAYPROOF_CACHE_REDIS_URL, and so on",
        "the store of caches alone, by the names below with PAYPROOF_CACHE_ before each",
    ),
    ("NO_COLOR, TERM", "no colors where NO_COLOR is set, or TERM is dumb"),
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "the way to addresses outside"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "root certificates, where they are not in the system's usual place"),
];

/// Switches of services, which `doctor --production` reads.
pub(crate) const SWITCHES: [&str; 2] = ["PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS", "DISABLE_IDEMPOTENCY_CHECKS"];

/// Every variable that is read, for the help.
pub(crate) fn variables() -> String {
    let mut text = "Variables:\n".to_owned();
    for (names, what) in VARIABLES {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {names}\n          {what}");
    }
    let _ = writeln!(
        text,
        "  {}\n          the store, as services read it: set {}",
        env_variables().join(", "),
        env_choices()
    );
    let _ =
        writeln!(text, "  {}\n          switches of services that `doctor --production` looks at", SWITCHES.join(", "));
    text
}

/// The library's defaults, as an operator writes them.
static ATTEMPT_TIMEOUT: LazyLock<String> = LazyLock::new(|| seconds(ValidatorBuilder::ATTEMPT_TIMEOUT));
static DEADLINE: LazyLock<String> = LazyLock::new(|| seconds(ValidatorBuilder::TOTAL_DEADLINE));

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

/// Whose payments they are. Records of one account and mode are not those of another.
#[derive(Debug, Args)]
#[command(next_help_heading = "Provider")]
pub(crate) struct AccountArgs {
    /// Live payments, or test payments, with a test key
    #[arg(long, default_value = "live", value_parser = PossibleValuesParser::new(["live", "test"]).map(|name| mode(&name)))]
    mode: Mode,
    /// The connected account to ask: acct_…
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The account that the key belongs to: acct_…; with a store, the account has to be named
    #[arg(long, value_name = "ID", env = "STRIPE_ACCOUNT_ID")]
    own_account: Option<String>,
    /// No other account's records are in the store, and the services name none either
    #[arg(long)]
    only_account: bool,
    /// The name of the account for people, if the service sets one
    #[arg(long, value_name = "LABEL")]
    account_label: Option<String>,
}

impl AccountArgs {
    fn provider(&self, secret_key: String) -> StripeBuilder {
        let stripe = self.account.iter().fold(Stripe::builder(secret_key), StripeBuilder::account);
        let own_account = self.own_account.iter().filter(|account| !account.is_empty());
        let stripe = own_account.fold(stripe, StripeBuilder::own_account);
        let stripe = self.account_label.iter().fold(stripe, StripeBuilder::account_label);
        if self.only_account { stripe.only_account() } else { stripe }
    }

    /// How the provider's integers relate to money.
    fn units(&self) -> Result<Units, Trouble> {
        let stripe = self.provider(NO_KEY.to_owned()).base_url(NOWHERE).mode(self.mode).build()?;
        Ok(stripe.identity().units_table().clone())
    }

    /// A validator of this account for a command that never asks the provider.
    pub(crate) fn without_provider(&self) -> Result<ValidatorBuilder, Trouble> {
        without(self.provider(NO_KEY.to_owned()), self.mode)
    }
}

fn mode(name: &str) -> Mode {
    if name == "test" { Mode::Test } else { Mode::Live }
}

/// A validator whose provider is nowhere.
fn without(stripe: StripeBuilder, mode: Mode) -> Result<ValidatorBuilder, Trouble> {
    Ok(Validator::builder(stripe.base_url(NOWHERE).mode(mode).build()?).mode(mode))
}

/// Where the provider is, and how it is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Provider")]
pub(crate) struct ProviderArgs {
    #[command(flatten)]
    identity: AccountArgs,
    /// Where a server is that answers like Stripe
    #[arg(long, value_name = "URL", env = "STRIPE_API_BASE", hide_env_values = true)]
    base_url: Option<String>,
    /// The longest one attempt may take
    #[arg(long, value_name = "TIME", default_value = ATTEMPT_TIMEOUT.as_str(), value_parser = duration)]
    attempt_timeout: Duration,
    /// How many retries follow a failed attempt
    #[arg(long, value_name = "COUNT", default_value_t = Retry::RETRIES)]
    retries: u32,
    /// The longest a validation may take, over all attempts and waits
    #[arg(long, value_name = "TIME", default_value = DEADLINE.as_str(), value_parser = duration)]
    deadline: Duration,
}

impl ProviderArgs {
    /// The longest that one validation may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn mode(&self) -> Mode {
        self.identity.mode
    }

    /// Where look-ups go instead of to Stripe, if they do.
    pub(crate) fn elsewhere(&self) -> Option<&str> {
        self.base_url.as_deref().filter(|url| !url.is_empty())
    }

    /// Whether it is said whose records are in the store.
    pub(crate) fn names_an_account(&self) -> bool {
        let AccountArgs { account, own_account, only_account, .. } = &self.identity;
        *only_account || account.is_some() || own_account.as_ref().is_some_and(|account| !account.is_empty())
    }

    /// The adapter, with the key from the environment.
    pub(crate) fn stripe(&self) -> Result<Stripe, Trouble> {
        let key = variable(SECRET_KEY)?.ok_or_else(|| {
            Trouble::new(format!(
                "{SECRET_KEY} is not set; set it to a secret key (sk_…) or to a restricted key (rk_…) that reads payment \
                 intents and charges"
            ))
        })?;
        let stripe = self.identity.provider(key);
        let stripe = self.elsewhere().into_iter().fold(stripe, StripeBuilder::base_url);
        Ok(stripe.build()?)
    }

    /// A validator that neither asks the provider nor reads records, so that it need not know whose they are.
    pub(crate) fn without_provider(&self) -> Result<ValidatorBuilder, Trouble> {
        without(self.identity.provider(NO_KEY.to_owned()).only_account(), self.identity.mode)
    }

    pub(crate) fn validator(&self) -> Result<ValidatorBuilder, Trouble> {
        Ok(self.calls(Validator::builder(self.stripe()?)))
    }

    /// Sets how the provider is asked.
    pub(crate) fn calls(&self, validator: ValidatorBuilder) -> ValidatorBuilder {
        let validator = validator.mode(self.identity.mode).retry(Retry::new().times(self.retries));
        validator.attempt_timeout(self.attempt_timeout).total_deadline(self.deadline)
    }
}

/// What proves whose a payment is, and of which order.
#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    /// The account serves one tenant only, so payments need not name it
    #[arg(long, conflicts_with = "tenant_key")]
    single_tenant: bool,
    /// The metadata key that names the tenant [default: store_id]
    #[arg(long, value_name = "NAME")]
    tenant_key: Option<String>,
    /// The metadata key that names the order [default: order_id]
    #[arg(long, value_name = "NAME")]
    order_key: Option<String>,
}

impl ProofArgs {
    /// Sets what is said; the rest is as services have it by default.
    pub(crate) fn set(&self, validator: ValidatorBuilder) -> ValidatorBuilder {
        let validator = if self.single_tenant { validator.single_tenant() } else { validator };
        let tenant = self.tenant_key.iter().map(|key| TenantProof::metadata(&**key));
        let validator = tenant.fold(validator, ValidatorBuilder::tenant_proof);
        self.order_key.iter().fold(validator, |validator, key| validator.order_key(&**key))
    }
}

/// Which store, as the environment says it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreSettings {
    /// What every key in the store begins with
    #[arg(long, value_name = "PREFIX", default_value = ValidatorBuilder::STORE_PREFIX)]
    store_prefix: String,
    /// What the names of the store's variables begin with
    #[arg(long, value_name = "PREFIX", default_value = "")]
    env_prefix: String,
}

impl StoreSettings {
    /// The store that the environment names; none where it names none.
    pub(crate) fn open(&self) -> Result<Option<EnvStore>, Trouble> {
        let store = from_env_with_prefix(&self.env_prefix)?;
        Ok((store.name() != "memory").then_some(store))
    }

    /// The same, for a command that makes no sense without one.
    pub(crate) fn needed(&self) -> Result<EnvStore, Trouble> {
        self.open()?.ok_or_else(|| Trouble::new(format!("the environment names no store; set {}", env_choices())))
    }

    /// Has a validator keep its records there.
    pub(crate) fn attach(&self, validator: ValidatorBuilder, store: EnvStore) -> Result<ValidatorBuilder, Trouble> {
        // It redeems nothing, so it forgets nothing either.
        self.dress(validator.store(store).no_redemptions_before())
    }

    /// Has a validator's records look as the service's do.
    fn dress(&self, validator: ValidatorBuilder) -> Result<ValidatorBuilder, Trouble> {
        let validator = validator.store_prefix(&*self.store_prefix);
        Ok(record_keys()?.into_iter().fold(validator, ValidatorBuilder::record_keys))
    }

    /// The same of a cache that is no validator's.
    fn apply(&self, cache: CacheBuilder) -> Result<CacheBuilder, Trouble> {
        let cache = cache.store_prefix(&*self.store_prefix);
        Ok(record_keys()?.into_iter().fold(cache, CacheBuilder::record_keys))
    }
}

/// The store that the environment names, for commands that can do without one.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct OptionalStore {
    /// Leave the store out that the environment names
    #[arg(long)]
    no_store: bool,
    #[command(flatten)]
    store: StoreSettings,
}

impl OptionalStore {
    /// Has a validator keep its records there, if there is one.
    pub(crate) fn attach(&self, validator: ValidatorBuilder) -> Result<ValidatorBuilder, Trouble> {
        let store = if self.no_store { None } else { self.store.open()? };
        match store {
            Some(store) => self.store.attach(validator, store),
            None => Ok(validator),
        }
    }
}

/// Whose records in which store, for commands that look into it and never ask the provider.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    identity: AccountArgs,
    #[command(flatten)]
    store: StoreSettings,
}

impl StoreArgs {
    pub(crate) fn units(&self) -> Result<Units, Trouble> {
        self.identity.units()
    }

    pub(crate) fn validator(&self) -> Result<Validator, Trouble> {
        let store = self.store.needed()?;
        Ok(self.store.attach(self.identity.without_provider()?, store)?.build()?)
    }
}

/// Which cache, as the service builds it.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// What tells the cache from others on its store, as the service says it
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The service builds it by Cache::from_env or Cache::builder, and not of a validator
    #[arg(long, requires = "namespace")]
    without_validator: bool,
    #[command(flatten)]
    records: StoreArgs,
}

impl CacheArgs {
    /// The cache, in the store that is named for caches alone, if one is.
    pub(crate) fn open(&self) -> Result<Cache, Trouble> {
        let has_own_store = env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with(CACHE_STORE));
        let StoreArgs { store, .. } = &self.records;
        let cache = match (self.without_validator, has_own_store) {
            (true, true) => store.apply(Cache::from_env()?)?,
            (true, false) => store.apply(Cache::builder(store.needed()?))?,
            // The validator's own store need not be there where caches have one.
            (false, true) => store.dress(self.records.identity.without_provider()?)?.build()?.cache(),
            // Nothing is stored from here.
            (false, false) => self.records.validator()?.cache().share_store(0),
        };
        let cache = self.namespace.iter().fold(cache, |cache, name| cache.namespace(&**name));
        Ok(cache.store_timeout(CACHE_PATIENCE).build()?)
    }
}

/// The keys with which the service authenticates its records, if it does.
fn record_keys() -> Result<Option<Vec<[u8; 32]>>, Trouble> {
    let Some(text) = variable(RECORD_KEY)? else { return Ok(None) };
    let key = |text: &str| STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    let wrong = || {
        Trouble::new(format!(
            "{RECORD_KEY} must be 32 bytes in base64, which are 44 characters; or up to four of those, with commas between"
        ))
    };
    text.split(',').map(key).collect::<Option<_>>().map(Some).ok_or_else(wrong)
}

/// An empty variable counts as unset. One that is not text is named, and not repeated.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Trouble> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Trouble::new(format!("{name} is not valid UTF-8; set it again"))),
    }
}

/// Reads `30s`, `500ms`, `5m`, `24h` or `3d`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let wrong = || "must be a whole number and a unit, such as 30s, 500ms, 5m, 24h or 3d".to_owned();
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let in_millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(in_millis).map(Duration::from_millis).ok_or_else(wrong)
}
