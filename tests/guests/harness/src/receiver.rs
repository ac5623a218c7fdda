//! A remote on loopback that keeps every byte of every request's head.
//!
//! What it answers depends on the path: `/stall` nothing, `/bytes/N` N bytes,
//! `/to/HOST:PORT` a redirect there, `/reflect` the request with its credential in
//! every form it can think of, anything else `ok`.

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
        let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        seen.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let answer = answer(&head);
        let Some(answer) = answer else {
            // Until the peer goes away.
            let _never = stream.read_u8().await?;
            return Ok(());
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn answer(head: &str) -> Option<String> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let ok = |headers: &str, body: &str| {
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
    };
    if path.ends_with("/stall") {
        return None;
    }
    if let Some(bytes) = path.strip_prefix("/bytes/") {
        return ok("", &"x".repeat(bytes.parse().unwrap_or(0)));
    }
    if let Some(place) = path.strip_prefix("/to/") {
        return Some(format!("HTTP/1.1 302 Found\r\nlocation: http://{place}/\r\ncontent-length: 0\r\n\r\n"));
    }
    if path.ends_with("/reflect") {
        let (headers, body) = reflection(head);
        return ok(&headers, &body);
    }
    ok("", "ok")
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
