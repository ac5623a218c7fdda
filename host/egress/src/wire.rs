//! The network as a transport.

use std::error::Error;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{ACCEPT_ENCODING, HeaderValue};
use model::{Host, Target};
use rustls::{CertificateError, ClientConfig};

use crate::gunzip;
use crate::options::EgressOptions;
use crate::pool::Pools;
use crate::resolve::{AddressDenied, check_all};
use crate::transport::{Incoming, Outgoing, OutgoingBody, Transport, TransportError};

/// Sends over TCP and TLS.
pub(crate) struct Wire {
    pools: Pools,
}

impl Wire {
    pub(crate) fn new(options: EgressOptions, tls: ClientConfig) -> Self {
        Self { pools: Pools::new(options, tls) }
    }

    async fn carry(&self, outgoing: Outgoing) -> Result<Incoming, TransportError> {
        check_literal(&outgoing)?;
        let client = self.pools.client(&outgoing).map_err(|error| TransportError::NotSent(chain(&error)))?;
        let Outgoing { permit, url, headers, body, .. } = outgoing;
        let target = permit.target();
        let method = target.method.parse().map_err(|_| TransportError::NotSent("the method is not one".to_owned()))?;
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        match body {
            OutgoingBody::Whole(body) if body.is_empty() => {}
            OutgoingBody::Whole(body) => *request.body_mut() = Some(body.into()),
            OutgoingBody::Paced(body) => *request.body_mut() = Some(reqwest::Body::wrap(body)),
        }
        let response = client.execute(request).await.map_err(|error| explain(error, target))?;
        let address = response.remote_addr();
        let status = response.status().as_u16();
        let mut headers = response.headers().clone();
        let body = response.bytes_stream().map_err(|error| chain(&error.without_url())).boxed();
        let body = gunzip::open(&mut headers, body);
        Ok(Incoming { status, headers, address, body })
    }
}

impl Transport for Wire {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        Box::pin(self.carry(outgoing))
    }
}

/// An address in the URL is never asked of a resolver, so it is checked here.
fn check_literal(outgoing: &Outgoing) -> Result<(), TransportError> {
    let target = outgoing.permit.target();
    let Host::Address(ip) = target.host else { return Ok(()) };
    match check_all(outgoing.permit.addresses(), [SocketAddr::new(ip, target.port)]) {
        Ok(_) => Ok(()),
        Err(AddressDenied { denial, address }) => Err(TransportError::Denied { denial, address }),
    }
}

fn explain(error: reqwest::Error, target: &Target) -> TransportError {
    if let Some(denied) = find::<AddressDenied>(&error) {
        return TransportError::Denied { denial: denied.denial.clone(), address: denied.address };
    }
    let error = error.without_url();
    let origin = target.origin();
    if !error.is_connect() {
        return TransportError::Broken(format!("{origin} did not answer: {}", chain(&error)));
    }
    let advice = if error.is_timeout() {
        "a firewall drops the connection, or the host is down"
    } else if let Some(error) = find::<rustls::Error>(&error) {
        tls_advice(error)
    } else if error.is_dns() {
        "the name does not exist, or this machine's resolver does not know it"
    } else {
        "nothing listens there, or a firewall refuses"
    };
    TransportError::NotSent(format!("cannot reach {origin}: {}; likely cause: {advice}", chain(&error)))
}

fn tls_advice(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the service's certificate has run out, or this machine's clock is ahead"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "this machine's clock is behind, or the service's certificate is for later",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is another service's: the name is not the right one, or somebody answers in its place",
        rustls::Error::InvalidCertificate(_) => {
            "the certificate is not trusted here; a private authority goes into SSL_CERT_FILE, \
             and a machine without any needs ca-certificates"
        }
        _ => "what answers there does not speak TLS 1.2 or 1.3: a port for http, or an outdated service",
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause_of(*error))
}

/// The next error inside. An IO error made from another one shows that one's source
/// as its own, and so would hide it.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The words of all causes once. The outermost say only that sending failed.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for text in causes(error).skip(1).map(ToString::to_string) {
        let says_something = !text.starts_with("client error");
        if says_something && words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
    }
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}
