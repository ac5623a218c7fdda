//! Certificates for every name there is, from an authority of the siege's own.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// Signs for whoever asks.
#[derive(Debug, Clone)]
pub(crate) struct Authority(Arc<Inner>);

struct Inner {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// One key for all names: making one takes longer than all the rest.
    key: KeyPair,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = KeyPair::generate()?;
        let pem = params.self_signed(&own)?.pem();
        Ok(Self(Arc::new(Inner { pem, issuer: Issuer::new(params, own), key: KeyPair::generate()? })))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem.clone()
    }

    /// Accepts for the name that the client asks for, or for this address.
    pub(crate) fn acceptor(&self, address: IpAddr) -> Result<TlsAcceptor> {
        let certificates = Arc::new(Certificates { authority: self.clone(), address });
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn certify(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let Inner { issuer, key, .. } = &*self.0;
        let certificate = CertificateParams::new(vec![name.to_owned()]).ok()?.signed_by(key, issuer).ok()?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
        let signer = ring::sign::any_supported_type(&private).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![CertificateDer::from(certificate)], signer)))
    }
}

#[derive(Debug)]
struct Certificates {
    authority: Authority,
    address: IpAddr,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map_or_else(|| self.address.to_string(), str::to_owned);
        self.authority.certify(&name)
    }
}
