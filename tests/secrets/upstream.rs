//! A service on loopback that hands back the secret it is given, in every form and by
//! every way that HTTP has; and one that nobody may bring it to.
//!
//! `/NAME/WAY`: the canary of this name, which must have come with the request. For a
//! secret that the host made, the body is it.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use xtask::http1::{self, Message};

use crate::canaries::{Canary, Scheme};
use crate::forms;
use crate::search::MARKER;

/// Every way to answer, beside the families of encodings.
pub(crate) const WAYS: [&str; 20] = [
    "header",
    "header-name",
    "status",
    "moved",
    "moved-away",
    "loop",
    "landed",
    "created",
    "refused",
    "error",
    "chunks",
    "pieces",
    "gzip",
    "gzip-chunks",
    "cut",
    "gzip-cut",
    "broken",
    "broken-header",
    "charset",
    "trailer",
];
/// Those that the host itself refuses or limits: when a call fails then, it fails for that,
/// whatever the connector says.
pub(crate) const JUDGED: [&str; 3] = ["moved", "moved-away", "loop"];

/// What a connector is given for a secret that is lent to it begins with this.
const REFERENCE: &str = "sluicegate-secret-";

/// What came.
#[derive(Default)]
pub(crate) struct Seen {
    /// Requests that had their secret, by canary.
    pub(crate) carried: BTreeMap<String, usize>,
    /// Memory of guests, without its disguise, each with the connection it came over.
    pub(crate) dumps: Vec<(String, Vec<u8>)>,
    /// Secrets that the host made, each with the connection it came over.
    pub(crate) lent: Vec<(String, String)>,
    /// What came to the other one.
    pub(crate) strayed: Vec<Vec<u8>>,
    /// What should not have come at all.
    pub(crate) wrong: Vec<String>,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) other: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    canaries: Vec<Canary>,
    other: SocketAddr,
    seen: Mutex<Seen>,
}

impl Upstream {
    pub(crate) fn start(canaries: Vec<Canary>) -> io::Result<Self> {
        let (listener, stray) = (TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?);
        let (address, other) = (listener.local_addr()?, stray.local_addr()?);
        let shared = Arc::new(Shared { canaries, other, seen: Mutex::default() });
        listen(listener, Arc::clone(&shared), Shared::answer_all);
        listen(stray, Arc::clone(&shared), Shared::note_stray);
        Ok(Self { address, other, shared })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }
}

type Serve = fn(&Shared, TcpStream) -> io::Result<()>;

/// For as long as the test's process lives.
fn listen(listener: TcpListener, shared: Arc<Shared>, serve: Serve) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A connection that breaks is the host's affair.
            thread::spawn(move || serve(&shared, stream));
        }
    });
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_stray(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(message) = http1::read(&mut reader)? {
            self.seen().strayed.push(format!("{message:?}").into_bytes());
            http1::write(&mut stream, "HTTP/1.1 200 OK", &[], b"strayed")?;
        }
        Ok(())
    }

    fn answer_all(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(message) = http1::read(&mut reader)? {
            let (goes_on, answer) = self.answer(&message);
            stream.write_all(&answer)?;
            if !goes_on {
                stream.shutdown(Shutdown::Both)?;
                break;
            }
        }
        Ok(())
    }

    /// Whether the connection is kept, and every byte of the answer.
    fn answer(&self, message: &Message) -> (bool, Vec<u8>) {
        let target = message.start.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut parts = path.trim_start_matches('/').split('/');
        let (name, way) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if way == "dump" {
            let plain = message.body.iter().map(|byte| byte ^ 0x5a).collect();
            self.seen().dumps.push((name.to_owned(), plain));
            return (true, with_length("200 OK", &[], b"thanks"));
        }
        let Some(secret) = self.secret_of(name, message, query) else {
            self.seen().wrong.push(format!("{} {:?}", message.start, message.headers));
            return (true, with_length("400 Bad Request", &[], b"the secret is missing"));
        };
        self.by_way(way, name, &secret)
    }

    /// The secret, if it is where it belongs.
    fn secret_of(&self, name: &str, message: &Message, query: &str) -> Option<String> {
        if name.starts_with("lent") {
            return self.lent_to(name, String::from_utf8(message.body.clone()).ok()?);
        }
        let canary = self.canaries.iter().find(|canary| canary.name == name)?;
        let secret = &canary.secret;
        let carried = match canary.scheme {
            Scheme::Bearer => message.header("authorization")? == format!("Bearer {secret}"),
            Scheme::Basic => {
                let pair = STANDARD.encode(format!("user:{secret}"));
                message.header("authorization")? == format!("Basic {pair}")
            }
            Scheme::Header => message.header("x-key")? == format!("Token {secret}"),
            Scheme::Query => {
                url::form_urlencoded::parse(query.as_bytes()).any(|(key, value)| key == "key" && value == *secret)
            }
            Scheme::Webhook | Scheme::Lent => false,
        };
        if carried {
            *self.seen().carried.entry(name.to_owned()).or_default() += 1;
        }
        carried.then(|| secret.clone())
    }

    /// The secret that the host made for this connection: what came, which is kept, or
    /// what came before.
    fn lent_to(&self, name: &str, given: String) -> Option<String> {
        let mut seen = self.seen();
        if given.is_empty() {
            // Behind a redirect there is no body any more.
            let known = seen.lent.iter().rfind(|(of, _)| of == name);
            return known.map(|(_, secret)| secret.clone());
        }
        if given.contains(REFERENCE) {
            return None;
        }
        let lent = (name.to_owned(), given.clone());
        if !seen.lent.contains(&lent) {
            seen.lent.push(lent);
        }
        Some(given)
    }

    fn by_way(&self, way: &str, name: &str, secret: &str) -> (bool, Vec<u8>) {
        let all = format!("{MARKER}\n{}", forms::everything(secret).join("\n"));
        let (all, quoted) = (all.as_bytes(), forms::family("url", secret)[1].clone());
        let here = |rest: &str| format!("/{name}/{rest}");
        match way {
            "header" => (true, with_length("200 OK", &headers(secret), b"see above")),
            "header-name" => {
                let name = format!("x-{}", hex::encode(secret));
                (true, with_length("200 OK", &[(&name, "1".into())], b"see above"))
            }
            "status" => (true, with_length(&format!("200 {secret}"), &[], b"see above")),
            "moved" => (true, moved(&here(&format!("landed/{quoted}?echo={quoted}")))),
            "moved-away" => {
                let encoded = URL_SAFE_NO_PAD.encode(secret);
                (true, moved(&format!("http://{}/stray?a={quoted}&b={encoded}", self.other)))
            }
            "loop" => (true, moved(&here(&format!("loop/{quoted}?echo={quoted}")))),
            "created" => {
                let place = here(&format!("landed/{quoted}"));
                (
                    true,
                    with_length("201 Created", &[("location", place.clone()), ("link", format!("<{place}>"))], b"{}"),
                )
            }
            "refused" => (true, with_length("400 Bad Request", &headers(secret), all)),
            "error" => (true, with_length("500 Internal Server Error", &headers(secret), all)),
            "chunks" => (true, in_chunks(secret.as_bytes(), 1, &[])),
            "pieces" => (true, in_chunks(all, 7, &[])),
            "gzip" => (true, with_length("200 OK", &[("content-encoding", "gzip".into())], &gzip(all))),
            "gzip-chunks" => (true, in_chunks(&gzip(all), 5, &[("content-encoding", "gzip".into())])),
            "cut" => (false, cut_short("200 OK", &[], all)),
            "gzip-cut" => {
                let half = gzip(all);
                let half = &half[..half.len() / 2];
                (true, with_length("200 OK", &[("content-encoding", "gzip".into())], half))
            }
            "broken" => (false, format!("{secret} {secret}\r\n\r\n").into_bytes()),
            "broken-header" => (false, format!("HTTP/1.1 200 OK\r\n{secret}\r\n\r\n{secret}").into_bytes()),
            "charset" => {
                let kind = format!("text/plain; charset={secret}");
                let encoding = format!("{secret}-encoding");
                (true, with_length("200 OK", &[("content-type", kind), ("content-encoding", encoding)], all))
            }
            "trailer" => (true, with_trailer(secret)),
            "landed" => (true, with_length("200 OK", &[], all)),
            family => {
                let lines = forms::family(family, secret).join("\n");
                (true, with_length("200 OK", &[], format!("{MARKER}\n{lines}").as_bytes()))
            }
        }
    }
}

/// The secret in headers, in as many forms as headers can carry.
fn headers(secret: &str) -> Vec<(&'static str, String)> {
    let lines = forms::everything(secret).into_iter().map(|line| ("x-echo", line));
    let known = [("www-authenticate", format!("Bearer error=\"{secret}\"")), ("set-cookie", format!("a={secret}"))];
    lines.chain(known).chain([("etag", format!("\"{secret}\"")), ("x-marker", MARKER.to_owned())]).collect()
}

fn head(status: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes
}

fn with_length(status: &str, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(status, headers);
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn moved(to: &str) -> Vec<u8> {
    with_length("302 Found", &[("location", to.to_owned())], to.as_bytes())
}

fn cut_short(status: &str, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(status, headers);
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len() + 100).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn in_chunks(body: &[u8], bytes: usize, headers: &[(&str, String)]) -> Vec<u8> {
    let mut answer = head("200 OK", headers);
    answer.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    for chunk in body.chunks(bytes) {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

fn with_trailer(secret: &str) -> Vec<u8> {
    let mut answer = head("200 OK", &[("trailer", "x-echo".to_owned())]);
    let chunk = format!("transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nx-echo: {secret}\r\n\r\n");
    answer.extend_from_slice(chunk.as_bytes());
    answer
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}
