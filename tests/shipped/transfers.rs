//! Files that no connector could hold, through the real host: from a service into the
//! folder that a grant opens, and back.

use std::fs;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use xtask::host::Settings;
use xtask::http1::{self, Message};
use xtask::workspace::plugins;

/// 12 MiB: more than a request or an answer has by default, and than the memory granted.
const BODY_BYTES: usize = 12 << 20;
const MEMORY_BYTES: u64 = 8 << 20;
const KIND: &str = "application/octet-stream";

/// Answers every `GET` with one body, takes what is put, and keeps all requests.
struct Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Service {
    fn start(body: Arc<Vec<u8>>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
        let kept = Arc::clone(&seen);
        // For as long as the test's process lives.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (body, kept) = (Arc::clone(&body), Arc::clone(&kept));
                // A connection that breaks is the host's affair.
                thread::spawn(move || serve(stream, &body, &kept));
            }
        });
        Ok(Self { address, seen })
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Message>> {
        lock(&self.seen)
    }
}

fn serve(mut stream: TcpStream, body: &[u8], seen: &Mutex<Vec<Message>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(message) = http1::read(&mut reader)? {
        let is_get = message.start.starts_with("GET ");
        lock(seen).push(message);
        let start = if is_get { "HTTP/1.1 200 OK" } else { "HTTP/1.1 201 Created" };
        let answer: &[u8] = if is_get { body } else { b"" };
        http1::write(&mut stream, start, &[("content-type", KIND)], answer)?;
    }
    Ok(())
}

fn lock(seen: &Mutex<Vec<Message>>) -> MutexGuard<'_, Vec<Message>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The HTTP connector, which may move files between this service and this folder.
fn install(settings: &Settings, service: SocketAddr, folder: &Path) -> Result<()> {
    let must = |arguments: &[&str]| -> Result<()> {
        let done = settings.run(arguments)?;
        ensure!(done.code == 0, "{}:\n{}", arguments.join(" "), done.text());
        Ok(())
    };
    must(&["plugin", "list"])?;
    let ceiling = format!(
        "version = 1\nallowed = [\"GET,PUT http://127.0.0.1:*\"]\naddresses = [\"127.0.0.1:*\"]\n\
         folders = [{folder:?}]\n"
    );
    fs::write(settings.data.join("ceiling.toml"), ceiling)?;
    must(&["plugin", "install", &plugins().join("http.wasm").display().to_string()])?;
    let grant = settings.data.with_file_name("grant.toml");
    let text = format!(
        "version = 1\nplugin = \"http\"\naddresses = [\"{service}\"]\n\
         [operations.download]\ndestinations = [\"GET http://{service}/**\"]\n\
         [operations.upload]\ndestinations = [\"PUT http://{service}/**\"]\n\
         [folders.inbox]\npath = {folder:?}\naccess = \"write\"\n\
         [limits]\nmemory_bytes = {MEMORY_BYTES}\nresponse_bytes = {BODY_BYTES}\nrequest_bytes = {BODY_BYTES}\n\
         file_bytes = {BODY_BYTES}\nwall_ms = 60000\n"
    );
    fs::write(&grant, text)?;
    must(&["plugin", "approve", "http", "--grant", &grant.display().to_string()])
}

/// The exit code, and what the host tells of the call.
fn call(settings: &Settings, operation: &str, input: &Value) -> Result<(i32, Value)> {
    let done = settings.run(&["--json", "plugin", "call", "http", operation, "--input", &input.to_string()])?;
    let told = serde_json::from_str(&done.stdout).with_context(|| done.text())?;
    Ok((done.code, told))
}

#[test]
fn files_larger_than_its_memory_pass_the_http_connector_both_ways() -> Result<()> {
    let mut body = vec![0_u8; BODY_BYTES];
    StdRng::seed_from_u64(1).fill(&mut body[..]);
    let body = Arc::new(body);
    let service = Service::start(Arc::clone(&body))?;
    let folder = tempfile::tempdir()?;
    let (settings, inbox) = (Settings::in_folder(folder.path()), folder.path().join("inbox"));
    fs::create_dir(&inbox)?;
    install(&settings, service.address, &inbox)?;
    let url = format!("http://{}/large", service.address);

    let (code, told) = call(&settings, "download", &json!({ "url": url, "file": "inbox/large" }))?;
    ensure!(code == 0, "{told:#}");
    let wanted = json!({ "file": "inbox/large", "bytes": BODY_BYTES, "content_type": KIND });
    ensure!(told["outcome"]["output"] == wanted, "{told:#}");
    ensure!(fs::read(inbox.join("large"))? == *body, "other bytes were saved");

    let parcel = json!({ "method": "PUT", "url": url, "file": "inbox/large", "content_type": KIND });
    let (code, told) = call(&settings, "upload", &parcel)?;
    ensure!(code == 0, "{told:#}");
    ensure!(told["outcome"]["output"]["status"] == 201, "{told:#}");
    {
        let seen = service.seen();
        let put = seen.iter().find(|message| message.start == "PUT /large HTTP/1.1").context("nothing was put")?;
        ensure!(put.body == *body, "other bytes were sent");
        ensure!(put.header("content-type") == Some(KIND), "{:?}", put.headers);
        ensure!(put.header("idempotency-key").is_some_and(|key| !key.is_empty()), "{:?}", put.headers);
        ensure!(seen.len() == 2, "{} requests came", seen.len());
    }

    // Beside the folder: by a name that nobody granted, and by a way out of it.
    let outside = folder.path().join("outside");
    fs::create_dir(&outside)?;
    for (file, code_wanted, kind) in
        [("outside/large", 3, "policy-denied"), ("inbox/../outside/large", 1, "invalid-input")]
    {
        let (code, told) = call(&settings, "download", &json!({ "url": url, "file": file }))?;
        ensure!(code == code_wanted && told["outcome"]["failure"]["kind"] == kind, "{file}: {told:#}");
    }
    ensure!(service.seen().len() == 2, "the service was asked for what nobody may write");
    ensure!(fs::read_dir(&outside)?.next().is_none(), "something was written beside the folder");
    let entries = fs::read_dir(&inbox)?.collect::<io::Result<Vec<_>>>()?;
    let names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    ensure!(names == ["large"], "{names:?}");
    Ok(())
}
