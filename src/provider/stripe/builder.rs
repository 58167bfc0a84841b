//! Checks what a Stripe adapter is made of.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::accessors::{partial_debug, setters};
use crate::http::transport;
use crate::payment::facts::Mode;
use crate::provider::ProviderIdentity;
use crate::redaction::presentable;
use crate::settings::build_error::BuildError;

use super::units::UNITS;
use super::{API_VERSION, BASE_URL, Stripe};

/// The longest account id, label or API version; far beyond what Stripe has.
const MAX_LEN: usize = 255;

/// What every account id of Stripe begins with, in live and test mode and in sandboxes.
const ACCOUNT_PREFIX: &str = "acct_";

/// The date of the first version that is read.
const FIRST_VERSION: &str = "2025-03-31";

const VERSION_RULE: &str = "2025-03-31.basil or later, such as 2026-10-28.endive: before, what was never captured of a hold \
    counted as refunded";

const ACCOUNT_RULE: &str = "an account id such as acct_1032D82eZvKYlo2C: letters, digits, `_`";

/// Settings of a [`Stripe`] adapter; checked by `build`.
///
/// | setting | default |
/// |---|---|
/// | `base_url` | `https://api.stripe.com` |
/// | `api_version` | `2026-10-28.endive` |
/// | `account` | none: the key's own account |
/// | `own_account` | not stated; needed with a store, unless `account` or `only_account` is set |
/// | `only_account` | not stated |
/// | `account_label` | the account's id, or `default` |
/// | `list_refunds` | only where something was given back |
/// | `mode` | told from the key: test for `sk_test_` and `rk_test_`, else live |
#[derive(Clone)]
#[must_use]
pub struct StripeBuilder {
    secret_key: String,
    base_url: String,
    api_version: String,
    account: Option<String>,
    own_account: Option<String>,
    only_account: bool,
    account_label: Option<String>,
    list_refunds: bool,
    mode: Option<Mode>,
}

impl StripeBuilder {
    pub(super) fn new(secret_key: String) -> Self {
        Self {
            secret_key,
            base_url: BASE_URL.to_owned(),
            api_version: API_VERSION.to_owned(),
            account: None,
            own_account: None,
            only_account: false,
            account_label: None,
            list_refunds: false,
            mode: None,
        }
    }

    setters! {
        /// Where Stripe is; `https://api.stripe.com` unless set.
        ///
        /// Plain http is accepted for this machine only: `localhost`, `127.0.0.0/8` and `[::1]`. A path is kept as a
        /// prefix. Proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`) apply to https alone.
        pub fn base_url(mut self, url: impl Into<String>) => self.base_url = url.into();

        /// The connected account to ask, sent as `Stripe-Account`; none unless set.
        ///
        /// Every payment found is then a payment of this account, which proves the tenant by account.
        pub fn account(mut self, id: impl Into<String>) => self.account = Some(id.into());

        /// The account that the key belongs to, `acct_…`; not stated unless set. Nothing of it is sent.
        ///
        /// It names whose records those in a store are, as [`account`](Self::account) does for a connected account:
        /// with either, `acct_1` shares them, whether it is reached with its own key or through a platform's. Stripe
        /// shows the id in the settings of the account, and in the answer to `GET /v1/account`. Beside `account` it
        /// says nothing more, since only payments of that one are asked for.
        ///
        /// Every payment found is a payment of this account, which proves the tenant by account.
        pub fn own_account(mut self, id: impl Into<String>) => self.own_account = Some(id.into());

        /// States that no other Stripe account's records are in the store, so that the account needs no name.
        ///
        /// If that is not true, the accounts share facts: a payment into one is then valid for the other. An id is
        /// better, and wins over this; see [`ProviderIdentity::only_account`].
        pub fn only_account(mut self) => self.only_account = true;

        /// A name of the account for people, shown in metrics and health; the account's id unless set. It keeps nothing
        /// apart.
        pub fn account_label(mut self, label: impl Into<String>) => self.account_label = Some(label.into());

        /// The API version, sent as `Stripe-Version`; `2026-10-28.endive` unless set.
        ///
        /// Pinned, so that the account's own default does not change what is read. `build` refuses versions before
        /// `2025-03-31.basil`, by their date: until then the part of a hold that was never captured counted as refunded.
        /// Previews, and versions with a suffix such as `; feature_beta=v1`, may be set.
        pub fn api_version(mut self, version: impl Into<String>) => self.api_version = version.into();

        /// Asks for the refunds of every payment that is paid or authorized, with one more request per look-up.
        ///
        /// Unless set, that is done only where the charge says that something was given back. Whether it says so of a refund
        /// that is pending is undocumented; this sees one in any case.
        pub fn list_refunds(mut self) => self.list_refunds = true;

        /// Which payments the key can see; told from its prefix unless set.
        ///
        /// It only lets the validator refuse a key of the wrong mode. A payment's mode is always its own `livemode`.
        pub fn mode(mut self, mode: Mode) => self.mode = Some(mode);
    }

    /// Checks every setting and makes the adapter.
    ///
    /// # Errors
    /// `Credential` when the key is empty, is not plain ASCII or is a key of another kind, `Url` when the base URL
    /// cannot be used, `OutOfRange` when an account is no `acct_…`, or label or version cannot be sent, `HttpClient` when there are no root
    /// certificates.
    pub fn build(self) -> Result<Stripe, BuildError> {
        let base = transport::base_url("Stripe base URL", &self.base_url)?;
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(AUTHORIZATION, authorization(&self.secret_key)?);
        headers.insert("stripe-version", header("stripe.api_version", &self.api_version, VERSION_RULE, is_printable)?);
        let version = presentable(&self.api_version, MAX_LEN);
        BuildError::check("stripe.api_version", version, is_read(&self.api_version), VERSION_RULE)?;
        for (setting, id) in [("stripe.account", &self.account), ("stripe.own_account", &self.own_account)] {
            id.as_ref().map_or(Ok(()), |id| check_account(setting, id))?;
        }
        if let Some(account) = &self.account {
            headers.insert("stripe-account", header("stripe.account", account, ACCOUNT_RULE, is_id)?);
        }
        if let Some(label) = &self.account_label {
            let rule = "1 to 255 printable ASCII characters without `/`";
            check("stripe.account_label", label, rule, |byte| is_printable(byte) && byte != b'/')?;
        }
        let mode = self.mode.unwrap_or_else(|| mode_of(&self.secret_key));
        let identity = ProviderIdentity::new("stripe").with_mode(mode).with_units(UNITS).globally_unique_ids();
        let identity = identity.account_setting("`.own_account(\"acct_…\")` of `Stripe::builder`");
        let identity = if self.only_account { identity.only_account() } else { identity };
        let account = self.account.or(self.own_account);
        let identity = account.iter().cloned().fold(identity, ProviderIdentity::with_account);
        let identity = self.account_label.into_iter().fold(identity, ProviderIdentity::with_label);
        Stripe::assemble(identity, base, headers, account, self.list_refunds)
    }
}

// Shows no key, and not the URL either, since it has not been checked for credentials yet.
partial_debug!(StripeBuilder, self => secret_key: "[redacted]", mode: self.mode);

fn authorization(key: &str) -> Result<HeaderValue, BuildError> {
    let wrong = |rule| BuildError::Credential { what: "Stripe secret key", rule };
    let rules = [
        (key.is_empty(), "must not be empty; set a secret key (sk_…) or a restricted key (rk_…)"),
        (
            key.chars().any(|c| c.is_whitespace() || c.is_control()),
            "must not contain white space or control characters, such as a file's last line end",
        ),
        (!key.is_ascii(), "must consist of ASCII characters"),
        (key.starts_with("pk_"), "is a publishable key (pk_…), which cannot read payments; use sk_… or rk_…"),
        (key.starts_with("whsec_"), "is a webhook signing secret (whsec_…); use a secret key, sk_… or rk_…"),
        (key.contains("_secret_"), "is a client secret, which belongs to one payment; use a secret key, sk_… or rk_…"),
    ];
    if let Some((_, rule)) = rules.into_iter().find(|(is_broken, _)| *is_broken) {
        return Err(wrong(rule));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| wrong("cannot be sent as a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn mode_of(key: &str) -> Mode {
    let is_test = key.starts_with("sk_test_") || key.starts_with("rk_test_");
    if is_test { Mode::Test } else { Mode::Live }
}

/// Whether a version is late enough, by its date. What follows the date is for Stripe to know.
fn is_read(version: &str) -> bool {
    let Some((date, rest)) = version.split_at_checked(FIRST_VERSION.len()) else { return false };
    let is_digit = |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    date.bytes().enumerate().all(is_digit) && date >= FIRST_VERSION && (rest.is_empty() || rest.starts_with(['.', ';']))
}

fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

fn is_id(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn check(setting: &'static str, text: &str, rule: &'static str, is_allowed: fn(u8) -> bool) -> Result<(), BuildError> {
    let fits = (1..=MAX_LEN).contains(&text.len()) && text.trim() == text && text.bytes().all(is_allowed);
    // A key that was put into the wrong setting must not end up in a log.
    let is_key = ["sk_", "rk_", "pk_", "whsec_"].iter().any(|prefix| text.trim_start().starts_with(prefix));
    if is_key {
        return Err(BuildError::out_of_range(setting, "a key".into(), rule));
    }
    BuildError::check(setting, presentable(text, MAX_LEN), fits, rule)
}

/// Only Stripe's own id says which account it is, however it is reached.
fn check_account(setting: &'static str, id: &str) -> Result<(), BuildError> {
    check(setting, id, ACCOUNT_RULE, is_id)?;
    let is_account = id.len() > ACCOUNT_PREFIX.len() && id.starts_with(ACCOUNT_PREFIX);
    BuildError::check(setting, id, is_account, ACCOUNT_RULE)
}

fn header(
    setting: &'static str,
    text: &str,
    rule: &'static str,
    is_allowed: fn(u8) -> bool,
) -> Result<HeaderValue, BuildError> {
    check(setting, text, rule, is_allowed)?;
    HeaderValue::try_from(text)
        .map_err(|_| BuildError::out_of_range(setting, format!("{:?}", presentable(text, MAX_LEN)), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_account_is_not_sent() {
        let built = Stripe::builder("sk_live_a").base_url("http://localhost:1").own_account("acct_1").build().unwrap();
        assert!(!built.headers.contains_key("stripe-account"));
    }
}
