//! The one TLS configuration: system roots, ring, TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::options::StartError;

/// Trusts the system's authorities (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`)
/// and those in `extra_pem`, which is empty or holds some. A machine without any gets a warning, not a refusal:
/// it may have nothing but `http` destinations.
pub(crate) fn client_config(extra_pem: &[u8]) -> Result<ClientConfig, StartError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra_roots(extra_pem)? {
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

/// A file that says something and names no authority is a mistake: passed over in silence,
/// it would show only as services that are not trusted.
fn extra_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StartError::Roots(error.to_string()))?;
    if roots.is_empty() && !pem.trim_ascii().is_empty() {
        return Err(StartError::NoRoots);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additional_roots_that_hold_no_certificate_are_refused() {
        let good: &[u8] = include_bytes!("../tests/data/ca.pem");
        let key: &[u8] = include_bytes!("../tests/data/service.key.pem");
        for (case, pem, wanted) in [
            ("none", &b""[..], true),
            ("blank", b" \n", true),
            ("good", good, true),
            ("junk", b"no certificate at all\n", false),
            ("DER", b"\x30\x82\x01\x0a\x30\x81\xb1\xa0\x03\x02\x01\x02", false),
            ("a key alone", key, false),
        ] {
            let refusal = client_config(pem).err().map(|error| error.to_string());
            let named = refusal.as_deref().map(|told| told.contains("hold no certificate in PEM form"));
            assert_eq!(named, (!wanted).then_some(true), "{case}: {refusal:?}");
        }
    }
}
