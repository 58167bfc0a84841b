//! Stores of tests that change some calls to the store inside, and hand on the rest.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its own share")]

/// Each verb is the one of the store inside the field.
macro_rules! hands_its_verbs_on {
    ($store:tt) => {
        async fn get(&self, key: &str) -> Result<Option<payproof::store::Stored>, payproof::store::StoreError> {
            self.$store.get(key).await
        }

        async fn claim(
            &self,
            key: &str,
            value: &[u8],
            ttl: std::time::Duration,
        ) -> Result<payproof::store::Claim, payproof::store::StoreError> {
            self.$store.claim(key, value, ttl).await
        }

        async fn replace(
            &self,
            key: &str,
            expected: &[u8],
            value: &[u8],
            ttl: std::time::Duration,
        ) -> Result<payproof::store::Swap, payproof::store::StoreError> {
            self.$store.replace(key, expected, value, ttl).await
        }

        async fn remove(
            &self,
            key: &str,
            expected: &[u8],
        ) -> Result<payproof::store::Swap, payproof::store::StoreError> {
            self.$store.remove(key, expected).await
        }
    };
}
pub(crate) use hands_its_verbs_on;

/// What the store inside the field says of itself. Not what it offers beside its verbs, so that every call goes through these.
macro_rules! says_what_it_holds {
    ($store:tt) => {
        fn durability(&self) -> payproof::store::Durability {
            self.$store.durability()
        }

        async fn restart_loss(&self) -> Result<payproof::store::RestartLoss, payproof::store::StoreError> {
            self.$store.restart_loss().await
        }

        async fn inspect(&self) -> Result<payproof::store::Inspection, payproof::store::StoreError> {
            self.$store.inspect().await
        }
    };
}
pub(crate) use says_what_it_holds;

/// The store as an older release or a decorator has it: its four verbs alone.
#[derive(Clone, Debug)]
pub(crate) struct VerbsAlone<S>(pub(crate) S);

impl<S: payproof::store::Store> payproof::store::Store for VerbsAlone<S> {
    hands_its_verbs_on!(0);
    says_what_it_holds!(0);
}
