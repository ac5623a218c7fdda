//! A remote on loopback that keeps every byte of every request's head, and whole bodies.
//!
//! What it answers depends on the path: `/stall` nothing, `/half` a part of an answer,
//! `/bytes/N` N bytes, `/status/N` nothing with this status, `/to/HOST:PORT` a redirect
//! there, `/reflect` the request with its credential in every form it can think of,
//! `/trickle` the same in small pieces, anything else `ok`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
    broken: AtomicUsize,
}

/// A remote, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, seen.clone()));
        Self { address, seen, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Forgets the heads of all requests so far.
    pub fn forget(&self) {
        *self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    /// The heads of all requests, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Receiver {
    /// The bodies that came whole, empty ones left out.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bodies broke off.
    pub fn broken(&self) -> usize {
        self.seen.broken.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let seen = seen.clone();
        tokio::spawn(async move {
            // A peer that goes away is no fault of the receiver's.
            let _gone = serve(stream, &seen).await;
        });
    }
}

async fn serve(stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        seen.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let body = body(&mut stream, &head).await.inspect_err(|_| {
            seen.broken.fetch_add(1, Ordering::SeqCst);
        })?;
        if !body.is_empty() {
            seen.bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        }
        let pieces = answer(&head);
        for piece in pieces.iter().flatten() {
            stream.write_all(piece.as_bytes()).await?;
            stream.flush().await?;
        }
        if pieces.is_none() || head.split(' ').nth(1).unwrap_or_default().ends_with("/half") {
            // Until the peer goes away.
            let _never = stream.read_u8().await?;
            return Ok(());
        }
    }
}

/// The whole body, or an error when it breaks off.
async fn body(stream: &mut BufReader<TcpStream>, head: &str) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if header(head, "transfer-encoding").is_none() {
        let length = header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await?;
        body.extend_from_slice(&chunk[..length]);
        if length == 0 {
            return Ok(body);
        }
    }
}

/// The pieces of the answer.
fn answer(head: &str) -> Option<Vec<String>> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let ok = |headers: &str, body: &str| {
        Some(vec![format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())])
    };
    if path.ends_with("/stall") {
        return None;
    }
    if path.ends_with("/half") {
        return Some(vec!["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned()]);
    }
    if let Some(bytes) = path.strip_prefix("/bytes/") {
        return ok("", &"x".repeat(bytes.parse().unwrap_or(0)));
    }
    if let Some(status) = path.strip_prefix("/status/") {
        return Some(vec![format!("HTTP/1.1 {status} As asked\r\ncontent-length: 0\r\n\r\n")]);
    }
    if let Some(place) = path.strip_prefix("/to/") {
        return Some(vec![format!("HTTP/1.1 302 Found\r\nlocation: http://{place}/\r\ncontent-length: 0\r\n\r\n")]);
    }
    if path.ends_with("/reflect") {
        let (headers, body) = reflection(head);
        return ok(&headers, &body);
    }
    if path.ends_with("/trickle") {
        return Some(trickle(&reflection(head).1));
    }
    ok("", "ok")
}

/// An answer in chunks of three bytes.
fn trickle(body: &str) -> Vec<String> {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let text: Vec<char> = body.chars().collect();
    let chunks = text.chunks(3).map(|chunk| {
        let chunk: String = chunk.iter().collect();
        format!("{:x}\r\n{chunk}\r\n", chunk.len())
    });
    std::iter::once(head).chain(chunks).chain(["0\r\n\r\n".to_owned()]).collect()
}

/// The credential as services echo it, in headers and a body.
fn reflection(head: &str) -> (String, String) {
    let credential = header(head, "authorization").unwrap_or_default();
    let token = credential.strip_prefix("Bearer ").unwrap_or(credential);
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let forms = [
        token.to_owned(),
        STANDARD.encode(token),
        URL_SAFE_NO_PAD.encode(format!("user:{token}")),
        hex::encode(token),
        hex::encode_upper(token),
        escaped,
    ];
    let headers = format!("x-token: {token}\r\nx-credential: {credential}\r\n");
    (headers, format!("reflected {head} {}", forms.join(" ")))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
