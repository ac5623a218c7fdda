//! The world outside: one set of listeners that stands for every machine there is.
//!
//! A connection made to an address that nobody may reach is a canary's: it is counted,
//! and what it says. Every other one is served: HTTP, or TLS with a certificate for
//! whatever name was asked for, and an answer that tells who was dialled.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;
use crate::ranges::Ranges;

/// The header by which a request says which case it belongs to.
pub(crate) const CASE: &str = "x-case";

/// What a server saw of a request, and tells in its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) dialled: SocketAddr,
    pub(crate) host: String,
    pub(crate) line: String,
    pub(crate) name: Option<String>,
    pub(crate) authorization: bool,
    /// Its place among the requests of its connection, from 1.
    pub(crate) turn: u64,
}

/// What happened out there.
#[derive(Default)]
pub(crate) struct Account {
    /// Connections to canaries, and the bytes that came by them.
    pub(crate) canary_connections: AtomicU64,
    pub(crate) canary_bytes: AtomicU64,
    /// Connections to everybody else.
    pub(crate) served: AtomicU64,
    /// The credential, at another host than its own.
    pub(crate) strays: AtomicU64,
    touched: Mutex<Vec<SocketAddr>>,
    redirects: Mutex<HashMap<String, (u16, Vec<u8>)>>,
}

impl Account {
    /// The next request of this case is sent elsewhere.
    pub(crate) fn redirect(&self, case: &str, status: u16, location: &[u8]) {
        let mut redirects = self.redirects.lock().unwrap_or_else(PoisonError::into_inner);
        redirects.insert(case.to_owned(), (status, location.to_vec()));
    }

    fn take(&self, case: &str) -> Option<(u16, Vec<u8>)> {
        self.redirects.lock().unwrap_or_else(PoisonError::into_inner).remove(case)
    }

    /// Which canaries were touched; empties the list.
    pub(crate) fn touched(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything that a connection needs to know.
struct World {
    ranges: Ranges,
    authority: Authority,
    /// Special, and allowed all the same.
    friend: Option<SocketAddr>,
    /// The origin of the credential, as its `Host` is written.
    home: String,
    account: Arc<Account>,
}

/// The outside, listening.
pub(crate) struct Outside {
    pub(crate) account: Arc<Account>,
    pub(crate) roots_pem: Vec<u8>,
    ports: Vec<u16>,
}

impl Outside {
    /// Listens at every address of the machine on these ports; 0 is any free one.
    pub(crate) async fn start(ports: &[u16], friend: impl Fn(&[u16]) -> (Option<SocketAddr>, String)) -> Result<Self> {
        let (account, authority) = (Arc::new(Account::default()), Authority::new()?);
        let mut listeners = Vec::new();
        for &port in ports {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await;
            listeners.push(listener.with_context(|| format!("port {port}"))?);
        }
        let ports: Vec<u16> =
            listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_>>()?;
        let (friend, home) = friend(&ports);
        let roots_pem = authority.pem().into_bytes();
        let world = World { ranges: Ranges::read()?, authority, friend, home, account: Arc::clone(&account) };
        let world = Arc::new(world);
        for listener in listeners {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(world.clone().welcome(stream));
                }
            });
        }
        Ok(Self { account, roots_pem, ports })
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Waits until every connection made so far has been counted; how many this took.
    pub(crate) async fn settle(&self) -> Result<u64> {
        for &port in &self.ports {
            let before = self.account.canary_connections.load(Ordering::SeqCst);
            // Queues are served in order: when this one is counted, so are those before it.
            let knock = TcpStream::connect(("127.0.0.77", port)).await.context("a canary is not listening")?;
            while self.account.canary_connections.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
            drop(knock);
            self.account.canary_connections.fetch_sub(1, Ordering::SeqCst);
        }
        self.account.touched.lock().unwrap_or_else(PoisonError::into_inner).retain(|touched| !is_knock(touched));
        Ok(u64::try_from(self.ports.len())?)
    }
}

/// Nobody but `settle` is told of this address.
fn is_knock(touched: &SocketAddr) -> bool {
    touched.ip() == IpAddr::from([127, 0, 0, 77])
}

impl World {
    async fn welcome(self: Arc<Self>, stream: TcpStream) {
        let Ok(local) = stream.local_addr() else { return };
        let dialled = SocketAddr::new(local.ip().to_canonical(), local.port());
        // IPv4 in IPv6 arrives as IPv4 where the kernel unwraps it: that is special too.
        if self.ranges.has(dialled.ip()) && self.friend != Some(dialled) {
            return self.canary(stream, dialled).await;
        }
        self.account.served.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let mut first = [0];
        // Nothing to be done for who leaves without a word.
        if !matches!(stream.peek(&mut first).await, Ok(1)) {
            return;
        }
        if first[0] != 0x16 {
            let _ = self.serve(stream, dialled, None).await;
            return;
        }
        let Ok(acceptor) = self.authority.acceptor(dialled.ip()) else { return };
        if let Ok(stream) = acceptor.accept(stream).await {
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let _ = self.serve(stream, dialled, name).await;
        }
    }

    /// Counts everything that comes, says nothing.
    async fn canary(&self, mut stream: TcpStream, dialled: SocketAddr) {
        let account = &self.account;
        account.touched.lock().unwrap_or_else(PoisonError::into_inner).push(dialled);
        account.canary_connections.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            account.canary_bytes.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Answers requests until the client has enough. None when it has.
    async fn serve<S>(&self, mut stream: S, dialled: SocketAddr, name: Option<String>) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut read = Vec::new();
        for turn in 1.. {
            let head = head(&mut stream, &mut read).await?;
            let header = |wanted: &str| {
                let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
                lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
            };
            let host = header("host").unwrap_or_default();
            let authorization = header("authorization").is_some();
            if authorization && host != self.home {
                self.account.strays.fetch_add(1, Ordering::SeqCst);
            }
            let redirect = header(CASE).and_then(|case| self.account.take(&case));
            let line = head.lines().next().unwrap_or_default().to_owned();
            let is_head = line.starts_with("HEAD ");
            let seen = Seen { dialled, host, line, name: name.clone(), authorization, turn };
            let (answer, stays) = respond(&seen, redirect, is_head);
            stream.write_all(&answer).await.ok()?;
            if !stays {
                break;
            }
        }
        None
    }
}

/// A redirect keeps the connection: the next case begins at the same place.
fn respond(seen: &Seen, redirect: Option<(u16, Vec<u8>)>, is_head: bool) -> (Vec<u8>, bool) {
    if let Some((status, location)) = redirect {
        let head = format!("HTTP/1.1 {status} Elsewhere\r\ncontent-length: 0\r\nlocation: ");
        return ([head.as_bytes(), &location, b"\r\n\r\n"].concat(), true);
    }
    let body = serde_json::to_string(seen).unwrap_or_default();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    ([head.as_bytes(), if is_head { b"" } else { body.as_bytes() }].concat(), false)
}

/// The head of the next request. The siege sends no bodies.
async fn head<S: AsyncRead + Unpin>(stream: &mut S, read: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = read.windows(4).position(|end| end == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            let head = std::mem::replace(read, rest);
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        let mut piece = [0; 8192];
        let length = stream.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        read.extend_from_slice(&piece[..length]);
    }
}
