//! Line breaks, zeros and other controls in everything that a connector controls: none of
//! it comes out as another line, header or request. The bytes that a server reads judge.

use std::sync::{Arc, Mutex};

use egress::{Request, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::Server;
use crate::world::{Given, World, get, post, with_header};

type Heads = Arc<Mutex<Vec<Vec<u8>>>>;

/// Keeps the bytes of every request as they came. Requests here have no bodies.
async fn listening() -> (Server, Heads) {
    let heads = Heads::default();
    let kept = Arc::clone(&heads);
    let server = Server::raw(move |mut stream, _, _| {
        let heads = Arc::clone(&kept);
        async move {
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                bytes.extend_from_slice(&piece[..read]);
                if bytes.ends_with(b"\r\n\r\n") {
                    heads.lock().expect("not poisoned").push(std::mem::take(&mut bytes));
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
            }
            if !bytes.is_empty() {
                heads.lock().expect("not poisoned").push(bytes);
            }
        }
    })
    .await;
    (server, heads)
}

const INJECTED: &str = "x-injected: yes";

fn payloads() -> Vec<String> {
    let breaks =
        ["\r\n", "\n", "\r", "\0", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}", "\u{560a}", "\u{ff0d}\u{ff0a}"];
    let encoded =
        ["%0d%0a", "%0D%0A", "%250d%250a", "\\r\\n", "%00", "%c4%8d%c4%8a", "%e5%98%8d%e5%98%8a", "&#13;&#10;"];
    let lines = breaks.iter().chain(&encoded);
    lines
        .flat_map(|line| {
            [format!("a{line}{INJECTED}"), format!("a HTTP/1.1{line}{INJECTED}{line}{line}GET /second HTTP/1.1")]
        })
        .collect()
}

/// What a head may look like, whatever was asked for.
fn check(head: &[u8], what: &str) {
    let text = String::from_utf8_lossy(head);
    assert!(!head.contains(&0), "{what}: {text:?}");
    let body = text.strip_suffix("\r\n\r\n").unwrap_or_else(|| panic!("{what}: not one head: {text:?}"));
    let mut lines = body.split("\r\n");
    let first: Vec<&str> = lines.next().expect("a line").split(' ').collect();
    assert!(first.len() == 3 && first[2] == "HTTP/1.1" && first[1].starts_with('/'), "{what}: {text:?}");
    assert!(first[0].bytes().all(|byte| byte.is_ascii_uppercase()), "{what}: {text:?}");
    let mut hosts = 0;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{what}: {line:?}"));
        assert!(!value.contains(['\r', '\n']) && !name.contains(char::is_whitespace), "{what}: {line:?}");
        assert_ne!(name, "x-injected", "{what}");
        hosts += usize::from(name == "host");
    }
    assert_eq!(hosts, 1, "{what}: {text:?}");
}

#[tokio::test]
async fn no_control_becomes_a_line_of_the_request() {
    let (world, (server, heads)) = (World::new(), listening().await);
    let address = server.address;
    type Make = fn(&str, &str) -> Request;
    let places: [(&str, Make); 12] = [
        ("method", |_, payload| Request { method: payload.to_owned(), ..get("{base-url}/") }),
        ("method after GET", |_, payload| Request { method: format!("GET {payload}"), ..get("{base-url}/") }),
        ("URL", |_, payload| get(payload)),
        ("scheme", |address, payload| get(format!("http{payload}://{address}/"))),
        ("host", |_, payload| get(format!("http://{payload}/"))),
        ("after the host", |address, payload| get(format!("http://{address}{payload}/"))),
        ("path", |address, payload| get(format!("http://{address}/{payload}"))),
        ("query", |address, payload| get(format!("http://{address}/?{payload}"))),
        ("fragment", |address, payload| get(format!("http://{address}/#{payload}"))),
        ("below the base URL", |_, payload| get(format!("{{base-url}}/{payload}"))),
        ("header name", |_, payload| with_header(get("{base-url}/"), payload, "value")),
        ("header value", |_, payload| with_header(get("{base-url}/"), "x-own", payload)),
    ];
    let mut served = 0;
    for (place, make) in places {
        for payload in payloads() {
            let session = world.session(&Given::ports(&[server.port()]).bearer("a-secret-token"));
            let outcome = session.send(make(&address.to_string(), &payload)).await;
            match &outcome {
                Ok(_) => served += 1,
                Err(SendError::Denied(_) | SendError::Invalid(_) | SendError::LimitExceeded { .. }) => {
                    assert!(!session.sent(), "{place} {payload:?}: {outcome:?}");
                }
                Err(_) => panic!("{place} {payload:?}: {outcome:?}"),
            }
            assert!(session.records().len() <= 1);
            let shown = format!("{:?}", session.records());
            assert!(!shown.contains("a-secret-token"), "{shown}");
        }
    }
    let heads = heads.lock().expect("not poisoned").clone();
    assert_eq!(heads.len(), served, "each request that was answered is one request at the server");
    assert!(served > 20, "only {served} went through");
    heads.iter().for_each(|head| check(head, "at the server"));
}

#[tokio::test]
async fn every_control_in_a_value_is_refused_or_one_value() {
    let (world, (server, heads)) = (World::new(), listening().await);
    let mut served = 0;
    for code in (0..=0xff).chain([0x100, 0x10d, 0x10a, 0x2028, 0xfeff, 0x1f600]) {
        let Some(letter) = char::from_u32(code) else { continue };
        for name in ["x-own", "user-agent", "accept", "content-type", "referer", "cache-control"] {
            let session = world.session(&Given::ports(&[server.port()]));
            let outcome = session.send(with_header(get("{base-url}/"), name, &format!("a{letter}{INJECTED}"))).await;
            let is_control = letter.is_ascii_control() && letter != '\t';
            assert_eq!(outcome.is_err(), is_control, "{name} {code:#x}: {outcome:?}");
            served += usize::from(outcome.is_ok());
        }
    }
    let heads = heads.lock().expect("not poisoned").clone();
    assert_eq!(heads.len(), served);
    heads.iter().for_each(|head| check(head, "at the server"));
}

/// Those that frame a message are the host's, in every spelling that a parser might take
/// for them.
#[tokio::test]
async fn what_frames_the_message_is_the_hosts_alone() {
    let (world, server) = (World::new(), crate::server::plain().await);
    let names = [
        "Host",
        "Transfer-Encoding",
        "Content-Length",
        "Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Connection",
        "Expect",
        "HTTP2-Settings",
    ];
    for name in names {
        for spelled in [
            name.to_owned(),
            name.to_ascii_uppercase(),
            name.to_ascii_lowercase(),
            format!("{name} "),
            format!(" {name}"),
            format!("{name}:"),
            format!("{name}\t"),
            format!("{name}\0"),
            format!("{name}\u{b}"),
            name.replace('-', "_"),
        ] {
            for value in ["chunked", "0", "5", "close", "127.0.0.1", "100-continue", "x-own"] {
                let session = world.session(&Given::ports(&[server.port()]));
                let request = with_header(post("{base-url}/", "hello"), &spelled, value);
                let outcome = session.send(request).await;
                assert!(matches!(outcome, Err(SendError::Invalid(_))), "{spelled:?}: {value}: {outcome:?}");
                assert!(!session.sent(), "{spelled:?}");
            }
        }
    }
    assert_eq!(server.connections(), 0);
    // Gateways of old read an underscore as a hyphen (RFC 3875, 4.1.18).
    for name in ["x_forwarded_host", "X_HTTP_Method_Override", "x_original_url", "proxy_authorization", "if_range"] {
        let session = world.session(&Given::ports(&[server.port()]).bearer("a-secret-token"));
        let outcome = session.send(with_header(get("{base-url}/"), name, "x")).await;
        assert!(matches!(outcome, Err(SendError::Invalid(_))), "{name}: {outcome:?}");
    }
    for name in ["x_own", "_", "hosts", "x_host", "contents_length"] {
        let session = world.session(&Given::ports(&[server.port()]).bearer("a-secret-token"));
        session.send(with_header(get("{base-url}/"), name, "x")).await.expect(name);
    }
}
