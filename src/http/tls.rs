//! TLS for every connection of the crate: rustls with ring, and the operating system's roots.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Verifies servers with the operating system's roots.
///
/// The crypto provider is handed over here and not installed for the process, which belongs to the application.
pub(crate) fn verifying(alpn: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth();
    Ok(with_alpn(config, alpn))
}

/// Trusts these roots and no others. With none it refuses every server, which is right for a client that never uses TLS:
/// reading the system's certificates takes milliseconds and fails where there are none.
pub(crate) fn trusting(roots: RootCertStore, alpn: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    Ok(with_alpn(config, alpn))
}

fn with_alpn(mut config: ClientConfig, alpn: &[&[u8]]) -> ClientConfig {
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config
}
