//! The other side: a small HTTP server that answers as remote services do.
//!
//! Owns the record of every request that arrived whole, in memory and, where asked, as
//! one line of JSON per request in a file. That record is the judge of what the host
//! did: a request is on it before it is answered.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::http1;

/// A request that arrived whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Received {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// `POST`
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As text; what is not UTF-8 is replaced.
    pub body: String,
}

impl Received {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The key that names the effect, whichever header carries it.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key").or_else(|| self.header("x-idempotency-key"))
    }
}

/// What the receiver answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Beside `content-length` and `content-type: application/json`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How long the answer takes.
    pub delay: Duration,
}

impl Reply {
    /// An answer in JSON, at once.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), delay: Duration::ZERO }
    }

    /// The same answer, this much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// Decides on an answer. The number counts the requests before this one.
pub type Script = dyn Fn(&Received, usize) -> Reply + Send + Sync;

/// A running receiver; stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    log: Mutex<Log>,
    /// Each with its name, so that a closed one is forgotten.
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

#[derive(Default)]
struct Log {
    received: Vec<Received>,
    file: Option<File>,
}

impl Receiver {
    /// Listens on the address (port 0: any) and answers by the script.
    ///
    /// # Errors
    /// The port is taken, or the log file cannot be made.
    pub fn start(
        listen: SocketAddr,
        log: Option<&Path>,
        script: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let file = log.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        let shared = Arc::new(Shared {
            script: Box::new(script),
            log: Mutex::new(Log { received: Vec::new(), file }),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.log).received.clone()
    }

    /// How many requests so far satisfy this.
    pub fn count(&self, wanted: impl Fn(&Received) -> bool) -> usize {
        lock(&self.shared.log).received.iter().filter(|request| wanted(request)).count()
    }

    /// Waits for the process's end; for a receiver in a process of its own.
    pub fn wait(mut self) {
        if let Some(accepting) = self.accepting.take() {
            // A thread that panicked has printed why.
            let _ = accepting.join();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; refused means that it is gone already.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.shared.open).drain(..) {
            // The peer may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            // A thread that panicked has printed why.
            let _ = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        // A broken connection is the peer's affair: it was not answered.
        thread::spawn(move || serve(stream, &shared));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    lock(&shared.open).push(stream.try_clone()?);
    let outcome = answer_all(stream, shared);
    lock(&shared.open).retain(|open| open.peer_addr().is_ok_and(|address| address != peer));
    outcome
}

fn answer_all(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(message) = http1::read(&mut reader)? {
        let closes = message.closes();
        let reply = shared.note(message)?;
        if !reply.delay.is_zero() {
            thread::sleep(reply.delay);
        }
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        http1::write(&mut stream, &format!("HTTP/1.1 {} Answer", reply.status), &headers, reply.body.as_bytes())?;
        if closes {
            break;
        }
    }
    Ok(())
}

impl Shared {
    /// Keeps the request, then asks the script.
    fn note(&self, message: http1::Message) -> io::Result<Reply> {
        let mut words = message.start.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let request = Received {
            at_ms: now_ms(),
            method: method.to_owned(),
            path: path.to_owned(),
            body: String::from_utf8_lossy(&message.body).into_owned(),
            headers: message.headers,
        };
        let before = {
            let mut log = lock(&self.log);
            if let Some(file) = &mut log.file {
                let line = serde_json::to_string(&request)?;
                writeln!(file, "{line}")?;
            }
            log.received.push(request.clone());
            log.received.len() - 1
        };
        Ok((self.script)(&request, before))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the judge's own clock, outside the host")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
