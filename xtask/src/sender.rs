//! The other side of deliveries: keep-alive connections that send, and send again.
//!
//! Owns the sender's own list of what the host acknowledged. A delivery that got no
//! answer is sent again under the same name, as services do; one that was refused is
//! an outcome, not a reason to try harder.

use std::collections::VecDeque;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::github::Delivery;
use crate::http1::{self, Message};

/// Longer than any synchronous flow of ours keeps its sender waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Between two tries of one delivery: short, since the host restarts in about a second.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(25);
/// A host that has not answered for this long will not.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

/// A connection to a host that is opened when needed and kept.
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The whole message.
    pub message: Message,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.message.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message.body).into_owned()
    }
}

impl Client {
    /// A client of this address; nothing is sent yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The host cannot be reached, broke off, or does not speak HTTP/1.1. Whether the
    /// request arrived is unknown then.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let outcome = self.try_send(method, path, headers, body);
        if outcome.as_ref().map_or(true, |answer| answer.message.closes()) {
            self.stream = None;
        }
        outcome
    }

    fn try_send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let host = self.address.to_string();
        let reader = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(BufReader::new(connect(self.address)?)),
        };
        let headers: Vec<(&str, &str)> = [("host", host.as_str())].into_iter().chain(headers.iter().copied()).collect();
        let sent = http1::write(reader.get_mut(), &format!("{method} {path} HTTP/1.1"), &headers, body);
        // A host that refuses a large body answers before it has read all of it.
        let answer = http1::read(reader).ok().flatten();
        let message = match (answer, sent) {
            (Some(message), _) => message,
            (None, Err(error)) => return Err(error),
            (None, Ok(())) => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let status = message.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer has no status"))?;
        Ok(Answer { status, message })
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}

/// A delivery that the host acknowledged.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What was sent.
    pub delivery: Delivery,
    /// The run it became.
    pub run: String,
    /// Whether an earlier try had arrived although its answer was lost.
    pub repeated: bool,
}

/// What became of a batch of deliveries.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Acknowledged, each once.
    pub accepted: Vec<Accepted>,
    /// Refused, with the status and its words.
    pub refused: Vec<String>,
}

/// How a batch goes.
#[derive(Debug, Default)]
pub struct Progress {
    acknowledged: AtomicUsize,
    given_up: AtomicBool,
}

impl Progress {
    /// Nothing has been sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The host will not come back: no delivery is tried again.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// How many deliveries the host has acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// Sends every delivery over several connections at once, until each has an answer; to
/// these paths, in turns.
pub fn deliver_all(
    to: SocketAddr,
    paths: &[String],
    deliveries: Vec<Delivery>,
    connections: usize,
    progress: &Progress,
) -> Outcome {
    let waiting = Mutex::new(paths.iter().cycle().zip(deliveries).collect::<VecDeque<_>>());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let outcome = Mutex::new(Outcome::default());
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Client::new(to);
                while let Some((path, delivery)) = next() {
                    let result = deliver(&mut client, path, &delivery, progress);
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok((run, repeated)) => {
                            outcome.accepted.push(Accepted { delivery, run, repeated });
                            progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(refusal) => outcome.refused.push(format!("delivery {}: {refusal}", delivery.id)),
                    }
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one delivery until it is answered: its run, and whether it was known already.
fn deliver(
    client: &mut Client,
    path: &str,
    delivery: &Delivery,
    progress: &Progress,
) -> Result<(String, bool), String> {
    let started = Instant::now();
    loop {
        let trouble = match client.send("POST", path, &delivery.headers(), &delivery.body) {
            Ok(answer) if matches!(answer.status, 200 | 202) => {
                let view = answer.json();
                let run = view["run"].as_str().ok_or_else(|| format!("no run in {}", answer.text()))?;
                return Ok((run.to_owned(), view["duplicate"] == Value::Bool(true)));
            }
            Ok(answer) if matches!(answer.status, 429 | 503) => answer.text(),
            Ok(answer) => return Err(format!("{}: {}", answer.status, answer.text())),
            Err(error) => error.to_string(),
        };
        if started.elapsed() > GIVE_UP_AFTER || progress.given_up.load(Ordering::SeqCst) {
            return Err(format!("no answer for {} s: {trouble}", started.elapsed().as_secs()));
        }
        thread::sleep(TRY_AGAIN_AFTER);
    }
}
