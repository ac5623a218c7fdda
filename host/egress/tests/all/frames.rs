//! HTTP/2 from a server that makes its frames by hand (RFC 9113): what floods, lies or
//! never ends there ends here as it does over HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use egress::{Response, SendError, Session};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::hostile::{Step, perform, say};
use crate::server::Server;
use crate::world::{Given, World, get};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// The head `:status: 200` (RFC 7541, appendix A, entry 8).
const STATUS_200: u8 = 0x88;

/// A field without indexing, name and value as they are (RFC 7541, 6.2.2). Up to 126
/// bytes each.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("short");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// A server over TLS that speaks HTTP/2 and nothing else: it reads the first request,
/// then does the steps.
async fn doing(steps: Vec<Step>) -> (Server, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("signs").pem().into_bytes();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["service.test".to_owned()]).expect("a name");
    let own = own.signed_by(&key, &issuer).expect("signs").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own], key)
        .expect("they belong together");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::raw(move |stream, _, _| {
        let (acceptor, steps) = (acceptor.clone(), steps.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (mut reader, mut writer) = tokio::io::split(stream);
            if writer.write_all(&frame(SETTINGS, 0, 0, &[])).await.is_err() {
                return;
            }
            let mut seen = Vec::new();
            let mut piece = [0; 4096];
            // The preface, then frames until one begins a stream.
            while !begins_stream(seen.get(24..).unwrap_or_default()) {
                let Ok(read @ 1..) = reader.read(&mut piece).await else { return };
                seen.extend_from_slice(&piece[..read]);
            }
            tokio::spawn(async move { while matches!(reader.read(&mut piece).await, Ok(1..)) {} });
            let _ = perform(&mut writer, &steps).await;
        }
    })
    .await;
    (server, pem)
}

fn begins_stream(mut frames: &[u8]) -> bool {
    while let Some(head) = frames.get(..9) {
        if head[3] == HEADERS {
            return true;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        frames = frames.get(9 + usize::try_from(length).expect("short")..).unwrap_or_default();
    }
    false
}

async fn ask(steps: Vec<Step>) -> (Arc<Session>, Result<Response, SendError>) {
    let (server, pem) = doing(steps).await;
    let world = World::with(|options| {
        options.extra_roots_pem = pem;
        options.first_byte_timeout = Duration::from_millis(700);
    });
    world.resolver.says("service.test", &[&["127.0.0.1"]]);
    let base = format!("https://service.test:{}", server.port());
    let mut given = Given { base_url: Some(base.clone()), ..Given::new(&[&format!("* {base}")], &[server.port()]) };
    given.limits.response_bytes = 64 << 10;
    given.limits.wall_ms = 2_000;
    let session = world.session(&given);
    let sending = session.send(get("{base-url}/"));
    let outcome = tokio::time::timeout(Duration::from_secs(60), sending).await.expect("it ends");
    (session, outcome)
}

fn head() -> Step {
    say(frame(HEADERS, END_HEADERS, 1, &[STATUS_200]))
}

#[tokio::test]
async fn an_honest_answer_is_read() {
    let steps = vec![head(), say(frame(DATA, END_STREAM, 1, b"ok")), Step::Stay];
    let (session, outcome) = ask(steps).await;
    assert_eq!(outcome.expect("answered").body, "ok");
    assert!(session.sent());
}

#[tokio::test]
async fn floods_and_lies_end_with_a_reason() {
    let many: Vec<u8> = (0..60).flat_map(|number| field(&format!("x-{number}"), &"a".repeat(100))).collect();
    let forever = |frame: Vec<u8>| Step::Forever(frame.repeat(20).into());
    for (name, steps) in [
        ("continuations", vec![say(frame(HEADERS, 0, 1, &[STATUS_200])), forever(frame(CONTINUATION, 0, 1, &many))]),
        (
            "empty continuations",
            vec![say(frame(HEADERS, 0, 1, &[STATUS_200])), forever(frame(CONTINUATION, 0, 1, &[]))],
        ),
        (
            "a head too large",
            vec![
                say(frame(HEADERS, 0, 1, &[&[STATUS_200], &many[..]].concat())),
                say(frame(CONTINUATION, 0, 1, &many).repeat(20)),
                say(frame(CONTINUATION, END_HEADERS, 1, &[])),
                Step::Stay,
            ],
        ),
        ("pings", vec![forever(frame(PING, 0, 0, &[7; 8]))]),
        ("settings", vec![forever(frame(SETTINGS, 0, 0, &[]))]),
        ("answers to no settings", vec![forever(frame(SETTINGS, ACK, 0, &[]))]),
        ("windows", vec![forever(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]))]),
        ("nothing", vec![Step::Stay]),
        ("early hints", vec![forever(frame(HEADERS, END_HEADERS, 1, &field(":status", "103")))]),
        ("a promise", vec![say(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82, 0x87, 0x84])), Step::Stay]),
        ("another stream", vec![say(frame(HEADERS, END_HEADERS, 3, &[STATUS_200])), Step::Stay]),
        ("a stream of the server's", vec![say(frame(HEADERS, END_HEADERS, 2, &[STATUS_200])), Step::Stay]),
        ("no status", vec![say(frame(HEADERS, END_HEADERS, 1, &field("x-a", "b"))), Step::Stay]),
        ("two statuses", vec![say(frame(HEADERS, END_HEADERS, 1, &[STATUS_200, STATUS_200])), Step::Stay]),
        (
            "a field that is no index",
            vec![say(frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f])), Step::Stay],
        ),
        (
            "a line break in a value",
            vec![
                say(frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &field("x-a", "b\r\nx-b: c")[..]].concat())),
                Step::Stay,
            ],
        ),
        (
            "a zero in a name",
            vec![say(frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &field("x\0a", "b")[..]].concat())), Step::Stay],
        ),
        (
            "upper case in a name",
            vec![say(frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &field("X-A", "b")[..]].concat())), Step::Stay],
        ),
        ("data before the head", vec![say(frame(DATA, 0, 1, b"data")), Step::Stay]),
        ("a frame too large", vec![say(frame(DATA, 0, 1, &[0; 100_000])), Step::Stay]),
        ("a reset", vec![say(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])), Step::Stay]),
        ("a farewell", vec![say(frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11])), Step::Stay]),
        ("another protocol", vec![say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Step::Stay]),
        ("an end", vec![]),
    ] {
        let (session, outcome) = ask(steps).await;
        match &outcome {
            Err(SendError::Unreachable(reason)) => {
                assert_eq!(session.records()[0].error.as_ref(), Some(reason), "{name}");
            }
            Err(SendError::LimitExceeded { which: "wall_ms" | "response_header_bytes", .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn bodies_end_at_a_limit_or_break_off() {
    let forever = |frame: Vec<u8>| Step::Forever(frame.repeat(20).into());
    for (name, steps, over) in [
        ("data", vec![head(), forever(frame(DATA, 0, 1, &[b'a'; 8_000]))], true),
        ("more than the window", vec![head(), say(frame(DATA, 0, 1, &[b'a'; 16_000]).repeat(1_000)), Step::Stay], true),
        ("empty data", vec![head(), forever(frame(DATA, 0, 1, &[]))], false),
        ("padding alone", vec![head(), forever(frame(DATA, 8, 1, &[[200].as_slice(), &[0; 200]].concat()))], false),
        (
            "a length that is a lie",
            vec![
                say(frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &field("content-length", "1000")[..]].concat())),
                say(frame(DATA, END_STREAM, 1, b"short")),
                Step::Stay,
            ],
            false,
        ),
        ("padding that is longer than all", vec![head(), say(frame(DATA, 8, 1, &[200, 0])), Step::Stay], false),
        (
            "a reset",
            vec![head(), say(frame(DATA, 0, 1, b"half")), say(frame(RST_STREAM, 0, 1, &[0, 0, 0, 2])), Step::Stay],
            false,
        ),
        ("an end", vec![head(), say(frame(DATA, 0, 1, b"half"))], false),
        ("half a frame", vec![head(), say([0, 1, 0, DATA, 0, 0, 0, 0, 1, b'x'].to_vec())], false),
    ] {
        let (session, outcome) = ask(steps).await;
        match &outcome {
            Err(SendError::LimitExceeded { which: "response_bytes", .. }) => assert!(over, "{name}"),
            // A window that is overrun may be noticed before the limit is.
            Err(SendError::Unreachable(reason)) => {
                assert_eq!(session.records()[0].error.as_ref(), Some(reason), "{name}");
                assert!(!over || name == "more than the window" || reason.contains("broke off"), "{name}: {reason}");
            }
            Err(SendError::LimitExceeded { which: "wall_ms", .. }) => assert!(!over, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        assert!(session.records()[0].received_bytes < 1 << 20, "{name}");
    }
}
