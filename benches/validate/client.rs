//! The bare client that payproof is measured against.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;

/// A client as an application makes it, but for the crypto provider, which has to be named where none is built in.
pub(crate) fn bare(timeout: Option<Duration>) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = Client::builder().no_proxy().tls_backend_preconfigured(tls);
    let builder = timeout.into_iter().fold(builder, reqwest::ClientBuilder::timeout);
    builder.build().expect("settings fit")
}
