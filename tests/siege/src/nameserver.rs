//! The name server of the siege: over UDP and TCP, and as honest as it is told to be.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::packet::{AAAA, CNAME, Head, Question, Record, answer};

/// Where names lead that nobody said anything about: an address of the public internet.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14));
/// Where they lead while the server is evil.
pub(crate) const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 66, 6, 6));
/// The service that the host's connection lives at: always honest.
pub(crate) const SERVICE: &str = "service.example";
/// Below it, a name says its own address in hexadecimal digits.
const SAID: &str = ".said.example";

/// A name that leads to the address.
pub(crate) fn saying(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08x}{SAID}", address.to_bits()),
        IpAddr::V6(address) => format!("{:032x}{SAID}", address.to_bits()),
    }
}

/// The address that the name says, or the one that every name has now.
pub(crate) fn address_of(name: &str, evil: bool) -> IpAddr {
    let said = name.strip_suffix(SAID).and_then(|digits| match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        32 => u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => None,
    });
    said.unwrap_or(if evil && name != SERVICE { INSIDE } else { PUBLIC })
}

/// One answer of a script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) records: Vec<Record>,
    /// Sends all records, whatever was asked.
    pub(crate) unasked: bool,
    pub(crate) code: u8,
    /// Never answers.
    pub(crate) silent: bool,
    /// Answers after this, in milliseconds.
    pub(crate) late_ms: u64,
    /// Added to the id of the query.
    pub(crate) other_id: u16,
    /// Repeats another question than was asked.
    pub(crate) other_question: Option<String>,
    /// From another port than was asked.
    pub(crate) other_port: bool,
    /// Says that there is more, and gives this over TCP.
    pub(crate) over_tcp: Option<Vec<Record>>,
    /// These bytes after the id, and nothing else.
    pub(crate) raw: Option<Vec<u8>>,
}

/// What all sockets of the server know.
#[derive(Default)]
pub(crate) struct Book {
    evil: AtomicBool,
    scripts: Mutex<HashMap<String, VecDeque<Reply>>>,
    queries: AtomicU64,
    tcp: AtomicU64,
}

impl Book {
    /// From now on names lead inside.
    pub(crate) fn set_evil(&self, evil: bool) {
        self.evil.store(evil, Ordering::SeqCst);
    }

    pub(crate) fn is_evil(&self) -> bool {
        self.evil.load(Ordering::SeqCst)
    }

    /// One answer for each lookup; the last one stays.
    pub(crate) fn script(&self, name: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(name.to_owned(), replies.into_iter().collect());
    }

    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::SeqCst)
    }

    /// Connections over TCP so far.
    pub(crate) fn tcp(&self) -> u64 {
        self.tcp.load(Ordering::SeqCst)
    }

    /// A lookup asks twice, for A and for AAAA: the script goes on after both.
    fn reply(&self, question: &Question, over_tcp: bool) -> Reply {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(script) = scripts.get_mut(&question.name) else {
            let address = address_of(&question.name, self.is_evil());
            return Reply { records: vec![Record::address(&question.name, address)], ..Reply::default() };
        };
        let reply = script.front().cloned().unwrap_or_default();
        if question.kind == AAAA && script.len() > 1 && !over_tcp {
            script.pop_front();
        }
        reply
    }

    fn answer(&self, question: &Question, over_tcp: bool) -> (Reply, Vec<u8>) {
        self.queries.fetch_add(1, Ordering::SeqCst);
        let reply = self.reply(question, over_tcp);
        let id = question.id.wrapping_add(reply.other_id);
        if let Some(raw) = &reply.raw {
            let packet = [&id.to_be_bytes()[..], raw].concat();
            return (reply, packet);
        }
        let records = match &reply.over_tcp {
            Some(records) if over_tcp => records,
            _ => &reply.records,
        };
        let asked = |record: &&Record| reply.unasked || [question.kind, CNAME].contains(&record.kind);
        let records: Vec<Record> = records.iter().filter(asked).cloned().collect();
        let head = Head {
            id,
            question: reply.other_question.as_deref().unwrap_or(&question.name),
            kind: question.kind,
            code: reply.code,
            truncated: reply.over_tcp.is_some() && !over_tcp,
        };
        let packet = answer(&head, &records);
        (reply, packet)
    }
}

/// Serves at this address, over UDP and TCP.
pub(crate) async fn serve(address: SocketAddr, book: Arc<Book>) -> Result<()> {
    let udp = Arc::new(UdpSocket::bind(address).await.with_context(|| format!("UDP {address}"))?);
    let stranger = Arc::new(UdpSocket::bind(SocketAddr::new(address.ip(), 0)).await.context("a second socket")?);
    let tcp = TcpListener::bind(address).await.with_context(|| format!("TCP {address}"))?;
    let shared = Arc::clone(&book);
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = udp.recv_from(&mut packet).await {
            let Some(question) = Question::parse(&packet[..length]) else { continue };
            let (reply, answer) = shared.answer(&question, false);
            if reply.silent {
                continue;
            }
            let socket = Arc::clone(if reply.other_port { &stranger } else { &udp });
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(reply.late_ms)).await;
                // An answer that is too long for a datagram is one that nobody gets.
                let _ = socket.send_to(&answer, from).await;
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            book.tcp.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream, Arc::clone(&book)));
        }
    });
    Ok(())
}

/// None when the client has gone.
async fn converse(mut stream: TcpStream, book: Arc<Book>) -> Option<()> {
    loop {
        let mut packet = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut packet).await.ok()?;
        let (reply, answer) = book.answer(&Question::parse(&packet)?, true);
        if reply.silent {
            continue;
        }
        stream.write_u16(u16::try_from(answer.len()).unwrap_or(u16::MAX)).await.ok()?;
        stream.write_all(&answer).await.ok()?;
    }
}

/// Records of both kinds for one name.
pub(crate) fn addresses(name: &str, addresses: &[&str]) -> Vec<Record> {
    let parsed = addresses.iter().filter_map(|address| address.parse().ok());
    parsed.map(|address| Record::address(name, address)).collect()
}
