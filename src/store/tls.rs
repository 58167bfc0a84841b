//! TLS to servers that are reached over a connection of our own: whom it trusts, and what its failures mean.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::StoreError;
use crate::http::tls;
use crate::settings::build_error::BuildError;

/// Trusts the authorities in these texts of PEM and no others, or without any the operating system's.
pub(super) fn trusting(roots: &[Box<[u8]>]) -> Result<Arc<ClientConfig>, BuildError> {
    let rule = "must be PEM text with at least one certificate";
    let unusable = || BuildError::Credential { what: "root certificate", rule };
    let config = if roots.is_empty() {
        tls::verifying(&[])
    } else {
        let mut trusted = RootCertStore::empty();
        for pem in roots {
            let before = trusted.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                trusted.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
            }
            if trusted.len() == before {
                return Err(unusable());
            }
        }
        tls::trusting(trusted, &[])
    };
    config.map(Arc::new).map_err(|error| BuildError::Tls { reason: error.to_string() })
}

/// Why a server could not be talked to in TLS; `plain` is how its URL says that it has none.
pub(super) fn fault(error: &io::Error, server: &str, plain: &str) -> StoreError {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(reason)) => StoreError::refused(format!(
            "the certificate of {server} is not trusted ({reason}); \
             give its authority with `root_certificate`, and use a host name that the certificate names"
        )),
        Some(rustls::Error::InvalidMessage(_)) => {
            StoreError::refused(format!("what answers does not speak TLS; use {plain} or the server's TLS port"))
        }
        Some(cause) => StoreError::refused(format!("no TLS with {server}: {cause}")),
        None => StoreError::not_sent(format!("no TLS with {server}: {error}; if the server has none, use {plain}")),
    }
}
