//! What else than metadata proves the order.

use crate::accessors::setters;
use crate::payment::facts::ProviderPayment;
use crate::payment::order::OrderFunction;
use crate::settings::build_error::BuildError;

use super::ValidatorBuilder;

impl ValidatorBuilder {
    setters! {
        /// Takes the reference that the merchant gave the provider beside metadata for the order, too: at Stripe
        /// `payment_details.order_reference`. Default: it proves nothing.
        ///
        /// Where metadata names the order as well, both have to agree.
        pub fn order_by_reference(mut self) => self.rules.order.by_reference = true;

        /// States that only your own server creates Checkout sessions, and takes their `client_reference_id` for the order, too.
        /// Default: it proves nothing.
        ///
        /// Do not set it where a browser, a plugin or a partner can create a session: what they write there would prove an
        /// order. On a session of a Payment Link the shopper can set it in the link's URL, so there it never counts. It never
        /// proves a tenant. Where metadata names the order as well, both have to agree.
        pub fn order_by_client_reference(mut self) => self.rules.order.by_client_reference = true;

        /// Reads the order from a payment by a function of yours, for shops that write it in a form of their own. Default: none.
        ///
        /// It is called once for each answer of the provider, in the task of the look-up, with all that the provider stated of
        /// the payment; so it must be quick and must not block. What it returns is kept as a fact under its `name`, and counts
        /// like metadata that names the order: all that name it have to agree. `None`, an empty text and a panic name none; a
        /// panic is told by the event `payproof.order_function_panicked`.
        ///
        /// Processes that share a store have to mean the same function by the same name: choose another one when it changes.
        ///
        /// ```
        /// use payproof::{ProviderPayment, Validator};
        /// # use payproof::testing::ScriptedProvider;
        /// # let provider = ScriptedProvider::new();
        ///
        /// let after_the_dash = |payment: &ProviderPayment| Some(payment.metadata("reference")?.split_once('-')?.1.to_owned());
        /// let validator = Validator::builder(provider).order_from("after the dash", after_the_dash).build()?;
        /// # Ok::<(), payproof::BuildError>(())
        /// ```
        pub fn order_from(
            mut self,
            name: impl Into<Box<str>>,
            read: impl Fn(&ProviderPayment) -> Option<String> + Send + Sync + 'static
        ) => self.rules.order.functions.push(OrderFunction::new(name.into(), read));
    }

    pub(super) fn check_order_functions(&self) -> Result<(), BuildError> {
        let functions = &self.rules.order.functions;
        for (at, OrderFunction { name, .. }) in functions.iter().enumerate() {
            let is_first = functions.iter().position(|other| other.name == *name) == Some(at);
            let is_name = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
            let rule = "a name of 1 to 64 bytes that no other function has";
            BuildError::check("order_from", format_args!("{name:?}"), is_first && is_name, rule)?;
        }
        Ok(())
    }
}
