//! The one TLS configuration: system roots, ring, TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::options::StartError;

/// Trusts the system's authorities (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`)
/// and those in `extra_pem`. A machine without any gets a warning, not a refusal:
/// it may have nothing but `http` destinations.
pub(crate) fn client_config(extra_pem: &[u8]) -> Result<ClientConfig, StartError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(extra_pem) {
        let certificate = certificate.map_err(|error| StartError::Roots(error.to_string()))?;
        roots.add(certificate).map_err(|error| StartError::Roots(error.to_string()))?;
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates found: install ca-certificates or set SSL_CERT_FILE");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
