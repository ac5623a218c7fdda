//! TLS: to the checked address, under the name that was asked for.

use std::sync::Arc;

use egress::SendError;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::server::{Answer, Server, answer, serve};
use crate::world::{Given, World, get};

const AUTHORITY: &[u8] = include_bytes!("../data/ca.pem");

/// Answers as `respond` does, told the name that the client asked for.
async fn tls_server(respond: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static) -> Server {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../data/service.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/service.key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::raw(move |stream, account, connection| {
        let (acceptor, respond) = (acceptor.clone(), respond.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let name = stream.get_ref().1.server_name().unwrap_or("no name").to_owned();
            let respond = move |_| std::future::ready(respond(&name));
            serve(stream, account, connection, Arc::new(respond)).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_name_is_shown_and_the_certificate_checked() {
    let server = tls_server(|name| answer(200, &[], name.to_owned())).await;
    let port = server.port();
    for (host, trusts, wanted) in [
        ("service.test", true, Ok("service.test")),
        ("other.test", true, Err("another service's")),
        ("service.test", false, Err("SSL_CERT_FILE")),
    ] {
        let world = World::with(|options| {
            if trusts {
                options.extra_roots_pem = AUTHORITY.to_vec();
            }
        });
        world.resolver.says(host, &[&["127.0.0.1"]]);
        let given = Given {
            base_url: Some(format!("https://{host}:{port}")),
            ..Given::new(&[&format!("* https://{host}:{port}")], &[port])
        };
        let session = world.session(&given.bearer("long-enough-token"));
        match (session.send(get("{base-url}/")).await, wanted) {
            (Ok(response), Ok(name)) => {
                assert_eq!(response.body, name);
                assert_eq!(server.seen().pop().expect("seen").header("authorization"), "Bearer long-enough-token");
            }
            (Err(SendError::Unreachable(reason)), Err(word)) => {
                assert!(reason.contains(word) && reason.contains("certificate"), "{reason}");
                assert!(!session.sent(), "nothing is sent to a stranger");
            }
            other => panic!("{host} {trusts}: {other:?}"),
        }
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_secure_service_cannot_lead_into_the_clear_unasked() {
    let clear = crate::server::plain().await;
    let location = format!("http://service.test:{}/", clear.port());
    let secure = tls_server(move |_| answer(302, &[("location", &location)], "")).await;
    for allowed in [false, true] {
        let world = World::with(|options| options.extra_roots_pem = AUTHORITY.to_vec());
        world.resolver.says("service.test", &[&["127.0.0.1"]]);
        let mut given =
            Given::new(&[&format!("* https://service.test:{}", secure.port())], &[secure.port(), clear.port()]);
        given.base_url = Some(format!("https://service.test:{}", secure.port()));
        if allowed {
            given.rules.push(format!("* http://service.test:{}", clear.port()));
        }
        let outcome = world.session(&given.bearer("long-enough-token")).send(get("{base-url}/")).await;
        assert_eq!(outcome.is_ok(), allowed, "{outcome:?}");
    }
    let seen = clear.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), "", "the credential stays out of the clear");
}
