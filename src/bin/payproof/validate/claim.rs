//! What one line claims, before it is checked.

use payproof::{Currency, Field, IdempotencyKey, InvalidIntent, Money, PaymentId, PaymentIntent};

/// The names of the fields, in the order in which a claim holds them.
pub(crate) const FIELDS: [&str; 7] = ["payment", "amount", "currency", "tenant", "order", "customer", "key"];

/// The fields that every line needs. The tenant may be said for all.
pub(crate) const REQUIRED: [&str; 3] = ["payment", "amount", "currency"];

/// The fields of one line. An empty one counts as absent.
#[derive(Clone, Default)]
pub(crate) struct LineClaim(pub(crate) [Option<String>; FIELDS.len()]);

/// What lines claim that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) tenant: Option<String>,
}

/// Why a line cannot be used. No value is repeated: it may be a secret in the wrong place.
#[derive(Clone, Debug)]
pub(crate) struct LineError {
    pub(crate) field: Option<&'static str>,
    pub(crate) rule: String,
}

impl LineError {
    pub(crate) fn line(rule: impl Into<String>) -> Self {
        Self { field: None, rule: rule.into() }
    }

    pub(crate) fn field(field: &'static str, rule: impl Into<String>) -> Self {
        Self { field: Some(field), rule: rule.into() }
    }
}

impl From<&InvalidIntent> for LineError {
    fn from(invalid: &InvalidIntent) -> Self {
        let field = match invalid.field() {
            Field::PaymentId => "payment",
            field => field.as_str(),
        };
        Self::field(field, invalid.rule())
    }
}

impl LineClaim {
    /// The place of the field of this name.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        FIELDS.iter().zip(&mut self.0).find_map(|(field, place)| (*field == name).then_some(place))
    }

    fn get(&self, name: &str) -> Option<&str> {
        FIELDS.iter().zip(&self.0).find_map(|(field, value)| (*field == name).then_some(value.as_deref())?)
    }

    fn needed(&self, name: &'static str) -> Result<&str, LineError> {
        self.get(name).ok_or_else(|| LineError::field(name, "is missing"))
    }

    /// Parses every field. The payment's id comes back by itself too, for the report of a line whose other fields are wrong.
    pub(crate) fn check(&self, defaults: &Defaults) -> (Option<PaymentId>, Result<PaymentIntent, LineError>) {
        let payment =
            self.needed("payment").and_then(|id| PaymentId::parse(id).map_err(|invalid| LineError::from(&invalid)));
        match payment {
            Ok(payment) => {
                let intent = self.intent(&payment, defaults);
                (Some(payment), intent)
            }
            Err(refusal) => (None, Err(refusal)),
        }
    }

    fn intent(&self, payment: &PaymentId, defaults: &Defaults) -> Result<PaymentIntent, LineError> {
        let (amount, currency) = (self.needed("amount")?, self.needed("currency")?);
        let unnamed = || LineError::field("tenant", "is missing; name it on the line, or for all with --tenant");
        let tenant = self.get("tenant").or(defaults.tenant.as_deref()).ok_or_else(unnamed)?;
        let build = || {
            let money = Money::parse(amount, Currency::parse(currency)?)?;
            let intent = PaymentIntent::new(tenant, payment.as_str(), money)?;
            let intent = self.get("order").into_iter().try_fold(intent, PaymentIntent::with_order)?;
            let intent = self.get("customer").into_iter().try_fold(intent, PaymentIntent::with_customer)?;
            let key = self.get("key").map(IdempotencyKey::parse).transpose()?;
            Ok(key.into_iter().fold(intent, PaymentIntent::with_key))
        };
        build().map_err(|invalid: InvalidIntent| LineError::from(&invalid))
    }
}
