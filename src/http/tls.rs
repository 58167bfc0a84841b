//! TLS for every connection of the crate: rustls with ring, and the operating system's roots.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Kept for the whole process: to read the system's certificates takes milliseconds and hundreds of kilobytes, and clients
/// that share the sessions of their servers connect faster.
static VERIFYING: OnceLock<ClientConfig> = OnceLock::new();

/// Verifies servers with the operating system's roots, as they were when the first client was made.
///
/// The crypto provider is handed over here and not installed for the process, which belongs to the application.
pub(crate) fn verifying(alpn: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    if let Some(config) = VERIFYING.get() {
        return Ok(with_alpn(config.clone(), alpn));
    }
    // A failure is not kept: there may be certificates the next time.
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth();
    Ok(with_alpn(VERIFYING.get_or_init(|| config).clone(), alpn))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_are_read_once_for_all_clients() {
        let [one, other] = [&[b"h2".as_slice()][..], &[]].map(|alpn| verifying(alpn).unwrap());
        assert!(Arc::ptr_eq(one.crypto_provider(), other.crypto_provider()));
        assert_eq!((one.alpn_protocols.len(), other.alpn_protocols.len()), (1, 0));
    }
}
