//! Certificates of every wrong kind, and servers that do not get as far as to show one:
//! not a byte of the request is said to them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egress::SendError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::hostile::{Step, perform, say};
use crate::server::Server;
use crate::world::{Given, World, get};

/// An authority: what it signs with, and its own certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

fn authority(change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let own = params.self_signed(&key).expect("signs");
    let (pem, der) = (own.pem(), own.der().clone());
    Authority { issuer: Issuer::new(params, key), pem, der }
}

/// What a server shows: its chain, and the key to it.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn shown(key: &KeyPair, chain: Vec<CertificateDer<'static>>) -> Shown {
    (chain, PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

fn signed(by: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Shown {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &by.issuer).expect("signs").der().clone();
    shown(&key, vec![certificate])
}

/// A TLS server that counts what is said to it once the handshake is over, and answers
/// with the name that it was asked for.
async fn showing((chain, key): Shown) -> (Server, Arc<AtomicUsize>) {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    let (acceptor, heard) = (TlsAcceptor::from(Arc::new(config)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&heard);
    let server = Server::raw(move |stream, _, _| {
        let (acceptor, heard) = (acceptor.clone(), Arc::clone(&counted));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let name = stream.get_ref().1.server_name().unwrap_or("no name").to_owned();
            let mut bytes = [0; 4096];
            let Ok(read @ 1..) = stream.read(&mut bytes).await else { return };
            heard.fetch_add(read, Ordering::SeqCst);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
            let _ = perform(&mut stream, &[say(answer)]).await;
        }
    })
    .await;
    (server, heard)
}

/// Asks the host over TLS; it lies at the loopback address, whatever its name is.
async fn ask(pem: &str, server: &Server, host: &str) -> Result<String, String> {
    let world = World::with(|options| options.extra_roots_pem = pem.as_bytes().to_vec());
    if host.parse::<IpAddr>().is_err() {
        world.resolver.says(host, &[&["127.0.0.1"]]);
    }
    let base = format!("https://{host}:{}", server.port());
    let given = Given { base_url: Some(base.clone()), ..Given::new(&[&format!("* {base}")], &[server.port()]) };
    let session = world.session(&given.bearer("a-secret-token"));
    match session.send(get("{base-url}/")).await {
        Ok(response) => Ok(String::from_utf8(response.body.to_vec()).expect("a name")),
        Err(SendError::Unreachable(reason)) => {
            assert!(!session.sent(), "{host}: {reason}");
            assert!(reason.starts_with(&format!("cannot reach {base}")), "{reason}");
            assert_eq!(session.records()[0].error.as_ref(), Some(&reason));
            Err(reason)
        }
        Err(other) => panic!("{host}: {other:?}"),
    }
}

#[tokio::test]
async fn only_the_right_certificate_opens_the_way() {
    let ours = authority(|_| {});
    let theirs = authority(|_| {});
    let name = &["service.test"][..];
    let (past, past_end) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let (future, future_end) = (date_time_ymd(2990, 1, 1), date_time_ymd(2999, 1, 1));
    let own_key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["service.test".to_owned()]).expect("a name");
    let own = shown(&own_key, vec![own.self_signed(&own_key).expect("signs").der().clone()]);
    // A leaf that signs as if it were an authority.
    let leaf_key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["leaf.test".to_owned()]).expect("a name");
    let leaf_der = leaf.signed_by(&leaf_key, &ours.issuer).expect("signs").der().clone();
    let by_leaf = Authority { issuer: Issuer::new(leaf, leaf_key), pem: String::new(), der: leaf_der };
    let (mut below_leaf, below_leaf_key) = signed(&by_leaf, name, |_| {});
    below_leaf.push(by_leaf.der.clone());
    for (case, host, shown, wanted) in [
        ("right", "service.test", signed(&ours, name, |_| {}), Ok("service.test")),
        (
            "right, among others",
            "service.test",
            signed(&ours, &["a.test", "service.test", "b.test"], |_| {}),
            Ok("service.test"),
        ),
        ("any below", "a.service.test", signed(&ours, &["*.service.test"], |_| {}), Ok("a.service.test")),
        ("an address", "127.0.0.1", signed(&ours, &["127.0.0.1"], |_| {}), Ok("no name")),
        ("another name", "service.test", signed(&ours, &["other.test"], |_| {}), Err("another service's")),
        (
            "a longer name",
            "service.test",
            signed(&ours, &["service.test.evil.example"], |_| {}),
            Err("another service's"),
        ),
        (
            "a name that ends like it",
            "service.test",
            signed(&ours, &["evilservice.test"], |_| {}),
            Err("another service's"),
        ),
        (
            "any below, two below",
            "a.b.service.test",
            signed(&ours, &["*.service.test"], |_| {}),
            Err("another service's"),
        ),
        ("any below, itself", "service.test", signed(&ours, &["*.service.test"], |_| {}), Err("another service's")),
        ("no names", "service.test", signed(&ours, &[], |_| {}), Err("another service's")),
        (
            "a common name alone",
            "service.test",
            signed(&ours, &[], |params| params.distinguished_name.push(DnType::CommonName, "service.test")),
            Err("another service's"),
        ),
        ("a name for an address", "127.0.0.1", signed(&ours, &["localhost"], |_| {}), Err("another service's")),
        ("another address", "127.0.0.1", signed(&ours, &["127.0.0.2"], |_| {}), Err("another service's")),
        (
            "run out",
            "service.test",
            signed(&ours, name, |params| (params.not_before, params.not_after) = (past, past_end)),
            Err("has run out"),
        ),
        (
            "not yet",
            "service.test",
            signed(&ours, name, |params| (params.not_before, params.not_after) = (future, future_end)),
            Err("is for later"),
        ),
        ("signed by itself", "service.test", own, Err("not trusted here")),
        ("signed by a stranger", "service.test", signed(&theirs, name, |_| {}), Err("not trusted here")),
        ("signed by a leaf", "service.test", (below_leaf, below_leaf_key), Err("not trusted here")),
        (
            "for clients",
            "service.test",
            signed(&ours, name, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Err("not trusted here"),
        ),
    ] {
        let (server, heard) = showing(shown).await;
        let outcome = ask(&ours.pem, &server, host).await;
        match (&outcome, wanted) {
            (Ok(name), Ok(wanted)) => assert_eq!(name, wanted, "{case}"),
            (Err(reason), Err(wanted)) => {
                assert!(reason.contains(wanted), "{case}: {reason}");
                assert_eq!(heard.load(Ordering::SeqCst), 0, "{case}: something was said to a stranger");
            }
            _ => panic!("{case}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn an_authority_out_of_force_vouches_for_nobody() {
    let old = authority(|params| {
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1))
    });
    let (mut chain, key) = signed(&old, &["service.test"], |_| {});
    chain.push(old.der.clone());
    let ours = authority(|_| {});
    let (server, heard) = showing((chain, key)).await;
    let reason = ask(&ours.pem, &server, "service.test").await.expect_err("nobody vouches");
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

/// A record of TLS with a handshake message in it.
fn record(kind: u8, version: [u8; 2], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [&[kind], &version[..], &length, body].concat()
}

/// A `ServerHello` that chooses this version and an old cipher (RFC 5246, 7.4.1.3).
fn hello(version: [u8; 2]) -> Vec<u8> {
    let body = [&version[..], &[7; 32], &[0], &[0x00, 0x2f], &[0]].concat();
    let length = u8::try_from(body.len()).expect("short");
    record(22, version, &[&[2, 0, 0, length], &body[..]].concat())
}

#[tokio::test]
async fn who_does_not_speak_tls_as_it_is_today_hears_nothing() {
    for (case, steps, wanted) in [
        ("TLS 1.1", vec![say(hello([3, 2])), Step::Stay], "does not speak TLS 1.2 or 1.3"),
        ("TLS 1.0", vec![say(hello([3, 1])), Step::Stay], "does not speak TLS 1.2 or 1.3"),
        ("SSL 3", vec![say(hello([3, 0])), Step::Stay], "does not speak TLS 1.2 or 1.3"),
        ("TLS 1.2 with a cipher of old", vec![say(hello([3, 3])), Step::Stay], "does not speak TLS 1.2 or 1.3"),
        ("a refusal of the version", vec![say(record(21, [3, 1], &[2, 70]))], "does not speak TLS 1.2 or 1.3"),
        ("a refusal of the handshake", vec![say(record(21, [3, 3], &[2, 40]))], "does not speak TLS 1.2 or 1.3"),
        ("http", vec![say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")], "does not speak TLS 1.2 or 1.3"),
        (
            "http that redirects",
            vec![say("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n")],
            "does not speak TLS 1.2 or 1.3",
        ),
        ("mail", vec![say("220 mail.example.com ESMTP\r\n"), Step::Stay], "does not speak TLS 1.2 or 1.3"),
        ("zeros", vec![Step::Forever(vec![0; 4_000].into())], "does not speak TLS 1.2 or 1.3"),
        (
            "a record without an end",
            vec![say(vec![22_u8, 3, 3, 0xff, 0xff]), Step::Forever(vec![0; 4_000].into())],
            "does not speak TLS 1.2 or 1.3",
        ),
        ("nothing", vec![Step::Stay], "likely cause"),
        ("a drip", vec![Step::Drip(&[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0])], "likely cause"),
        ("empty records", vec![Step::Forever(record(22, [3, 3], &[]).into())], "likely cause"),
        ("warnings", vec![Step::Forever(record(21, [3, 3], &[1, 0x5a]).into())], "likely cause"),
        ("an end", vec![], "likely cause"),
    ] {
        let server = crate::hostile::doing(steps).await;
        let world = World::with(|options| options.connect_timeout = Duration::from_millis(400));
        world.resolver.says("service.test", &[&["127.0.0.1"]]);
        let base = format!("https://service.test:{}", server.port());
        let given = Given { base_url: Some(base.clone()), ..Given::new(&[&format!("* {base}")], &[server.port()]) };
        let session = world.session(&given.bearer("a-secret-token"));
        let sending = session.send(get("{base-url}/"));
        let outcome = tokio::time::timeout(Duration::from_secs(60), sending).await.expect("it ends");
        let Err(SendError::Unreachable(reason)) = outcome else { panic!("{case}: {outcome:?}") };
        assert!(reason.contains(wanted) && reason.contains(&base), "{case}: {reason}");
        assert!(!session.sent(), "{case}");
    }
}
