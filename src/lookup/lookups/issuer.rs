//! The validator behind a proof, by itself or by one of its handles.

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::payment::verdict::Issuer;
use crate::spread::Handle;

use super::Lookups;

impl Issuer for Lookups {
    fn redemption(&self, payment: &PaymentId) -> Fingerprint {
        self.account.identity.redemption(payment)
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl Issuer for Handle<Lookups> {
    fn redemption(&self, payment: &PaymentId) -> Fingerprint {
        (**self).redemption(payment)
    }

    fn address(&self) -> *const () {
        (**self).address()
    }
}
