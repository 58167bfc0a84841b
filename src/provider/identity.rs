//! Whose payments are asked for: the provider, the account, the mode, and where their records stand.

use crate::accessors::{getters, setters};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::money::Units;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::Mode;
use crate::settings::build_error::BuildError;

/// The longest name of an account; far beyond what providers have.
const MAX_ACCOUNT: usize = 255;

/// Who the provider is and whose account is asked, as stated by its adapter and never derived from a credential.
///
/// Rotating a key changes nothing here, so facts and keys stay where they are. Records in a store belong to one provider,
/// account and mode: with a store, [`build`](crate::ValidatorBuilder::build) demands that the account is named, or that it
/// is the [only one](Self::only_account).
///
/// ```
/// use payproof::provider::ProviderIdentity;
///
/// let acme = ProviderIdentity::new("acme").with_account("merchant_7").with_label("Acme, Europe");
/// assert_eq!(acme.account(), Some("merchant_7"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderIdentity {
    name: Box<str>,
    account: Account,
    label: Option<Box<str>>,
    mode: Mode,
    units: Units,
    unique_ids: bool,
    /// How this provider's users name an account, for errors.
    account_setting: &'static str,
}

/// Which of a provider's accounts is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Account {
    Unstated,
    Only,
    Named(Box<str>),
}

impl Account {
    /// Where there is one account, it needs no name.
    const UNNAMED: &'static str = "default";

    /// What stands for the account in digests.
    fn as_str(&self) -> &str {
        match self {
            Self::Unstated | Self::Only => Self::UNNAMED,
            Self::Named(name) => name,
        }
    }
}

impl ProviderIdentity {
    /// Names a provider: `stripe`. No account stated, mode live, units of ISO 4217 unless told otherwise.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            account: Account::Unstated,
            label: None,
            mode: Mode::Live,
            units: Units::iso_4217(),
            unique_ids: false,
            account_setting: "`ProviderIdentity::with_account`",
        }
    }

    setters! {
        /// The account's name at the provider, the same however the account is reached: `acct_1032D82eZvKYlo2C`.
        ///
        /// Validators over one store share the facts, keys and operations of an account when they state the same name,
        /// and nothing otherwise. Take the provider's own id: a name that two accounts share mixes their payments. Keep
        /// it: under another name everything counts as new, and where ids are not
        /// [globally unique](Self::globally_unique_ids), payments that were redeemed under the old one do too. 1 to 255
        /// bytes; `build` refuses others.
        pub fn with_account(mut self, name: impl Into<Box<str>>) => self.account = Account::Named(name.into());

        /// A name of the account for people: metrics and health show it instead of [`account`](Self::account). It keeps
        /// nothing apart.
        ///
        /// An account may have been named by it before, so a payment that was redeemed under that name counts as used.
        /// Where ids are not [globally unique](Self::globally_unique_ids), never label an account with the name of
        /// another one.
        pub fn with_label(mut self, label: impl Into<Box<str>>) => self.label = Some(label.into());

        /// Which payments the credential can see.
        pub fn with_mode(mut self, mode: Mode) => self.mode = mode;

        /// How the provider's integers relate to major units.
        pub fn with_units(mut self, units: Units) => self.units = units;

        /// States that no two payments at this provider have the same id, whichever accounts they belong to. Not stated
        /// unless set.
        ///
        /// A payment's redemption then stands under provider, mode and id alone: however its account is named, labeled
        /// and reached, a used payment stays used. Unless this is stated, the account's name is part of that place, so
        /// that equal ids of two accounts are two payments.
        pub fn globally_unique_ids(mut self) => self.unique_ids = true;

        /// How a user of this provider's adapter names an account.
        #[cfg(feature = "stripe")]
        pub(crate) fn account_setting(mut self, setting: &'static str) => self.account_setting = setting;

        /// States that the store holds records of no other account at this provider, so that the account needs no name.
        ///
        /// If that is not true, the accounts share facts: a payment into one is then valid for the other. When a second
        /// account comes, name both, in all processes at once. Payments that were redeemed stay used, and where ids are
        /// not [globally unique](Self::globally_unique_ids), they are used for every account that is named later. The
        /// rest stands under another name from then on: facts are asked for and callers' keys bound anew, and a guarded
        /// operation counts as new, so that one which was executed is executed again if it is run again. Do not go back
        /// from a name to this. A name stated before or after this wins over it.
        pub fn only_account(mut self) => if self.account == Account::Unstated {
            self.account = Account::Only;
        };
    }

    getters! {
        /// The account's name at the provider; `None` where it is not stated, or the only one.
        pub fn account(&self) -> Option<&str> => match &self.account {
            Account::Named(name) => Some(name),
            Account::Unstated | Account::Only => None,
        };

        /// The provider's name.
        pub fn name(&self) -> &str => &self.name;

        /// The units table.
        pub fn units_table(&self) -> &Units => &self.units;

        /// What people are shown for the account: the label, else the account's name, else `default`.
        pub fn label(&self) -> &str => self.label.as_deref().unwrap_or_else(|| self.account.as_str());

        /// Which payments the credential can see.
        pub fn mode(&self) -> Mode => self.mode;
    }

    /// Another account at the same provider, in the same mode.
    #[cfg(feature = "webhook")]
    pub(crate) fn of_account(&self, name: &str) -> Self {
        Self { account: Account::Named(name.into()), label: None, ..self.clone() }
    }

    /// Whether the other one is of the same account at the same provider, in the same mode.
    #[cfg(feature = "webhook")]
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        (&self.name, &self.account, self.mode) == (&other.name, &other.account, other.mode)
    }

    /// Whether records of this account may stand beside those of others.
    pub(crate) fn check_account(&self, has_store: bool) -> Result<(), BuildError> {
        match &self.account {
            Account::Named(name) => {
                let (length, is_kept) = (name.len(), (1..=MAX_ACCOUNT).contains(&name.len()));
                let value = format_args!("{length} bytes long");
                BuildError::check("account", value, is_kept, "a name of 1 to 255 bytes")
            }
            Account::Unstated if has_store => {
                Err(BuildError::AccountUnstated { provider: self.name.to_string(), setting: self.account_setting })
            }
            _ => Ok(()),
        }
    }

    /// A digest of something at this provider, account and mode. Neither the label nor units are part of it.
    pub(crate) fn fingerprint(&self, purpose: &str, parts: &[&str]) -> Fingerprint {
        let whose = [&*self.name, self.account.as_str(), self.mode.as_str()];
        Fingerprint::of(purpose, whose.iter().chain(parts).map(|part| Some(part.as_bytes())))
    }

    /// Where the redemption of a payment stands.
    pub(crate) fn redemption(&self, payment: &PaymentId) -> Fingerprint {
        if !self.unique_ids {
            return self.redemption_at(self.account.as_str(), payment);
        }
        let parts = [&*self.name, self.mode.as_str(), payment.as_str()];
        Fingerprint::of("redemption of a unique id", parts.map(|part| Some(part.as_bytes())))
    }

    /// Where it may stand from the time when the account had no name, or its label was part of the place. These places are
    /// read, so that a used payment stays used, and no redemption is recorded there any more.
    pub(crate) fn former_redemptions(&self, payment: &PaymentId) -> Vec<Fingerprint> {
        let (name, label) = (self.account(), self.label.as_deref());
        let both = name.zip(label).map(|(name, label)| format!("{label}/{name}"));
        let current = self.redemption(payment);
        let mut places = Vec::with_capacity(4);
        for account in [Some(Account::UNNAMED), name, label, both.as_deref()].into_iter().flatten() {
            let place = self.redemption_at(account, payment);
            if place != current && !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    fn redemption_at(&self, account: &str, payment: &PaymentId) -> Fingerprint {
        let parts = [&*self.name, account, self.mode.as_str(), payment.as_str()];
        Fingerprint::of("redemption", parts.map(|part| Some(part.as_bytes())))
    }
}
