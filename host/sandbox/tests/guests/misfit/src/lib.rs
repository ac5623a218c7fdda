//! A connector that misbehaves on request: the operation's name says how.

use std::io::Write as _;

wit_bindgen::generate!({
    path: "../../../../../wit",
    inline: r#"
        package misfit:guest;
        world misfit {
            import sluicegate:connector/fetch@0.1.0;
            import sluicegate:connector/context@0.1.0;
            import sluicegate:connector/log@0.1.0;
            import sluicegate:connector/files@0.1.0;
            export sluicegate:connector/manifest@0.1.0;
            export sluicegate:connector/actions@0.1.0;
            export sluicegate:connector/webhooks@0.1.0;
            export sluicegate:connector/account@0.1.0;
        }
    "#,
    generate_all,
});

use exports::sluicegate::connector::webhooks::{Delivery, Event};
use exports::sluicegate::connector::{account, actions, manifest, webhooks};
use sluicegate::connector::types::{Error, FieldProblem, OtherFailure, RemoteAnswer};
use sluicegate::connector::{context, fetch, files, log};

struct Misfit;
export!(Misfit);

const ACTION: &str = r#"{"id":"ID","label":"Do","help":"Does it.","effect":"read","idempotency":{"kind":"natural"},
"files":"write","connection":"optional","destinations":[],"input":{},"output":{},"sample":{"input":{},"output":{}}}"#;

impl manifest::Guest for Misfit {
    fn describe() -> String {
        // Whatever varies must not vary here.
        let nonce = format!("{:?} {:?} {}", std::time::SystemTime::now(), seed(), context::remaining_ms());
        let reached = reach("https://example.com/");
        let actions: Vec<String> = ["echo", "files"].iter().map(|id| ACTION.replace("ID", id)).collect();
        include_str!("manifest.json")
            .replace("NONCE", &nonce.replace('"', "'"))
            .replace("REACHED", &reached.replace('"', "'"))
            .replace("ACTIONS", &actions.join(","))
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(1)
}

fn reach(url: &str) -> String {
    let request = fetch::Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: fetch::Body::Empty,
        timeout_ms: None,
    };
    match fetch::send(&request) {
        Ok(response) => format!("answered {}", response.status),
        Err(fetch::FetchError::Denied(denial)) => format!("denied: {}", denial.rule),
        Err(other) => format!("failed: {other:?}"),
    }
}

impl actions::Guest for Misfit {
    fn invoke(operation: String, input: String) -> Result<String, Error> {
        match operation.as_str() {
            "echo" => Ok(input),
            "spin" => loop {
                std::hint::black_box(0);
            },
            "sleep" => {
                std::thread::sleep(std::time::Duration::from_secs(60));
                Ok("null".to_owned())
            }
            "memory" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(vec![1; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "memory-tried" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    let mut piece = Vec::new();
                    if piece.try_reserve_exact(1 << 20).is_err() {
                        return Err(Error::Transient("try again".to_owned()));
                    }
                    hoard.push(piece);
                }
            }
            "recurse" => Ok(recurse(1).to_string()),
            "panic" => panic!("the sky fell on {input}"),
            "exit" => std::process::exit(7),
            "trap" => core::arch::wasm32::unreachable(),
            "flood" => {
                for index in 0..100_000 {
                    log::write(log::Level::Info, &format!("line {index}"), &[("k".to_owned(), "v".to_owned())]);
                    let _ = writeln!(std::io::stderr(), "noise {index}");
                }
                Ok("null".to_owned())
            }
            "print" => {
                println!("out: {input}");
                eprintln!("err: {input}");
                log::write(log::Level::Warn, &input, &[]);
                Ok("null".to_owned())
            }
            "big" => Ok(format!("\"{}\"", "x".repeat(input.parse().unwrap()))),
            "not-json" => Ok("{oops".to_owned()),
            "fail" => Err(fail(&input)),
            "claim" => {
                let answer = reach(&input);
                Err(Error::Transient(format!("please retry: {answer}")))
            }
            "shrug" => Ok(format!("\"{}\"", reach(&input).replace('"', "'"))),
            "huge-url" => {
                let url = "x".repeat(input.parse().unwrap());
                Ok(format!("\"{}\"", reach(&url).replace('"', "'")))
            }
            "context" => Ok(format!("\"{}\"", format!("{:?}", context::current()).replace('"', "'"))),
            "world" => Ok(world()),
            "files" => Ok(format!("\"{}\"", work_on_files(&input).escape_debug())),
            "leave" => {
                static MARK: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                Ok(MARK.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string())
            }
            _ => Err(Error::Permanent(format!("no such operation: {operation}"))),
        }
    }
}

/// Not a loop in disguise, and without memory of its own: the wasm stack fills up.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).wrapping_mul(31) ^ depth }
}

fn fail(kind: &str) -> Error {
    let text = "because".to_owned();
    match kind {
        "auth-expired" => Error::AuthExpired,
        "auth-revoked" => Error::AuthRevoked,
        "missing-scopes" => Error::MissingScopes(vec!["chat:write".to_owned(), "no scope".to_owned()]),
        "rate-limited" => Error::RateLimited(Some(1_500)),
        "transient" => Error::Transient(text),
        "invalid-input" => Error::InvalidInput(vec![FieldProblem {
            path: "/due".to_owned(),
            expected: "a date".to_owned(),
            got: "31/12".to_owned(),
        }]),
        "not-found" => Error::NotFound(text),
        "conflict" => Error::Conflict(text),
        "remote" => Error::Remote(RemoteAnswer { status: 502, message: text }),
        "permanent" => Error::Permanent(text),
        _ => Error::Other(OtherFailure { code: "odd".to_owned(), details: "{\"a\":1}".to_owned() }),
    }
}

/// What WASI shows of the world outside.
fn world() -> String {
    let files = std::fs::read_dir("/").map(|entries| entries.count());
    let socket = std::net::TcpStream::connect("127.0.0.1:80");
    let name = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 80));
    let udp = std::net::UdpSocket::bind("127.0.0.1:0");
    let stdin = std::io::read_to_string(std::io::stdin()).map(|text| text.len());
    format!(
        r#"{{"args":{},"env":{},"files":{},"tcp":{},"dns":{},"udp":{},"stdin":{}}}"#,
        std::env::args().count(),
        std::env::vars().count(),
        files.is_ok(),
        socket.is_ok(),
        name.is_ok(),
        udp.is_ok(),
        stdin.unwrap_or(0),
    )
}

fn work_on_files(commands: &str) -> String {
    let run = |command: &str| {
        let words: Vec<String> = command.split(' ').map(unquoted).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["race", rounds, path] => Ok(race(rounds.parse().unwrap(), path)),
            ["many", rounds, path] => many(rounds.parse().unwrap(), path),
            ["lines", rounds, path, line] => lines(rounds.parse().unwrap(), path, line),
            ["list", path] => files::list(path)
                .map(|entries| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>().join("+")),
            ["read", path] => files::read(path, 0, 1_000).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            ["write", path, content] => files::write(path, content.as_bytes()).map(|()| "ok".to_owned()),
            ["append", path, content] => files::append(path, content.as_bytes()).map(|()| "ok".to_owned()),
            ["rename", from, to] => files::rename(from, to).map(|()| "ok".to_owned()),
            _ => panic!("unknown command {command}"),
        }
    };
    let show = |result: Result<String, files::FileError>| match result {
        Ok(text) => text,
        Err(files::FileError::Denied(_)) => "denied".to_owned(),
        Err(files::FileError::NotFound(_)) => "not-found".to_owned(),
        Err(files::FileError::AlreadyExists(_)) => "exists".to_owned(),
        Err(files::FileError::LimitExceeded(limit)) => format!("limit {}", limit.which),
        Err(files::FileError::InvalidPath(_)) => "invalid".to_owned(),
        Err(files::FileError::Failed(why)) => format!("failed {why}"),
    };
    commands.split(';').map(|command| show(run(command))).collect::<Vec<_>>().join(";")
}

/// `%20` for a blank, and so on: commands are words.
fn unquoted(word: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = word.get(word.len() - after.len()..).and_then(|after| after.get(..2));
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("paths are text")
}

/// Every operation at a place that others change meanwhile: what came back, each once.
fn race(rounds: u32, path: &str) -> String {
    let mut seen = std::collections::BTreeMap::new();
    let inside = format!("{path}/secret.txt");
    let aside = format!("{path}-aside");
    let word = |error: files::FileError| match error {
        files::FileError::Failed(why) => format!("failed {why}"),
        files::FileError::Denied(_) => "denied".to_owned(),
        files::FileError::NotFound(_) => "not-found".to_owned(),
        files::FileError::AlreadyExists(_) => "exists".to_owned(),
        files::FileError::LimitExceeded(limit) => format!("limit {}", limit.which),
        files::FileError::InvalidPath(_) => "invalid".to_owned(),
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let names = |entries: Vec<files::Entry>| {
        let names: Vec<String> = entries.into_iter().map(|entry| format!("{}:{}", entry.name, entry.bytes)).collect();
        names.join("+")
    };
    for round in 0..rounds {
        for path in [path, inside.as_str()] {
            let done = [
                ("read", files::read(path, 0, 1_000).map(text)),
                ("read-again", files::read(path, 0, 1_000).map(text)),
                ("list", files::list(path).map(names)),
            ];
            let change = match round % 3 {
                0 => ("write", files::write(path, b"owned").map(|()| "ok".to_owned())),
                1 => ("append", files::append(path, b"owned").map(|()| "ok".to_owned())),
                _ => {
                    let moved = files::rename(path, &aside).map(|()| "ok".to_owned());
                    let _ = files::rename(&aside, path);
                    ("rename", moved)
                }
            };
            for (what, result) in done.into_iter().chain([change]) {
                let text = result.unwrap_or_else(word);
                *seen.entry(format!("{what} {text}")).or_insert(0_u32) += 1;
            }
        }
    }
    let seen: Vec<String> = seen.into_iter().map(|(text, times)| format!("{text}={times}")).collect();
    seen.join("|")
}

/// So many empty files.
fn many(rounds: u32, path: &str) -> Result<String, files::FileError> {
    for round in 0..rounds {
        files::write(&format!("{path}{round}"), b"")?;
    }
    Ok("ok".to_owned())
}

fn lines(rounds: u32, path: &str, line: &str) -> Result<String, files::FileError> {
    for round in 0..rounds {
        files::append(path, format!("{line}-{round}\n").as_bytes())?;
    }
    Ok("ok".to_owned())
}

impl webhooks::Guest for Misfit {
    fn receive(trigger: String, config: String, delivery: Delivery) -> Result<Vec<Event>, Error> {
        let event = |payload: String| Event { dedupe_key: Some(delivery.query.clone()), payload };
        match trigger.as_str() {
            "happened" => Ok(vec![event(config), event(String::from_utf8_lossy(&delivery.body).into_owned())]),
            "many" => Ok((0..2_000).map(|index| event(index.to_string())).collect()),
            _ => Ok(Vec::new()),
        }
    }
}

impl account::Guest for Misfit {
    fn check() -> Result<String, Error> {
        let call = context::current();
        call.connection.map(|connection| connection.label).ok_or(Error::AuthRevoked)
    }
}
