//! `POST /webhooks/stripe`.

/// What the provider signs with. In production it comes from the environment.
pub(crate) const SIGNING_SECRET: &str = "whsec_sandbox";
