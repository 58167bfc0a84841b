//! Stores of tests that change some calls to the store inside, and hand on the rest.
#![allow(unused_macros, unused_imports, reason = "each test binary uses its own share")]

/// What the store inside the field says of itself. Not what it offers beside its verbs, so that every call goes through these.
macro_rules! says_what_it_holds {
    ($store:ident) => {
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
