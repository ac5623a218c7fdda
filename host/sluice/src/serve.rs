//! `sluice serve`: the host's life from start to drain.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{Auth, Listener, Token};
use clap::{Args, ValueEnum};
use engine::Options;
use model::Problem;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use crate::cli::Global;
use crate::exit::Stop;
use crate::folder::{Folder, write_whole};
use crate::host::{self, Host};
use crate::{input, peer};

/// How the host is started.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// Where webhooks are taken; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where administration is offered; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// The ceiling that no grant exceeds [default: ceiling.toml in the data folder]
    #[arg(long, value_name = "FILE")]
    ceiling: Option<PathBuf>,
    /// Runs under way at the same time
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(Options::default().workers).expect("32"))]
    workers: NonZeroUsize,
    /// Runs that may wait before deliveries are answered 429
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(Options::default().queue_max).expect("20,000"))]
    queue: NonZeroUsize,
    /// Where services reach the webhook address, such as `https://flows.example.com`:
    /// connectors then set up their webhooks themselves
    #[arg(long, value_name = "URL", env = "SLUICE_PUBLIC_URL")]
    public_url: Option<String>,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  sluice serve
  sluice serve --listen 0.0.0.0:8080 --data /var/lib/sluice
  sluice serve --listen 127.0.0.1:0 --admin 127.0.0.1:0      free ports, written to listen.json
  SLUICE_LOG=debug sluice serve --log-format text

The first start makes the data folder, its key (vault.key: keep a copy of it apart),
the administrators' token (admin.token) and the ceiling (ceiling.toml: edit it).
SIGTERM takes nothing new, lets what is under way come to a safe point, and ends the
host; a second one ends it at once. Nothing acknowledged is lost either way.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

/// How long a drain may take: service managers kill after 30 to 90 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// A token that an administrator chose; 32 hexadecimal digits have 128 random bits.
const TOKEN_CHARS_MIN: usize = 32;

/// Runs the host until a signal ends it.
pub(crate) fn serve(global: &Global, serve: &Serve) -> Result<(), Stop> {
    start_log(serve.log_format);
    guard_process();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(workers()).enable_all().build().map_err(anyhow::Error::new)?;
    let ended = runtime.block_on(live(global, serve));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Twice as many workers as processors. Guests that compute keep at most half of them, and
/// the kernel gives its time to the others as soon as there is something to do for the host.
fn workers() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).init(),
        LogFormat::Text => log.init(),
    }
}

/// Secrets are in this process's memory: no image of it is ever written to disk.
fn guard_process() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
    let open = rustix::process::getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: open.maximum, maximum: open.maximum }) {
        tracing::warn!(%error, "the limit of open files stays low");
    }
}

async fn live(global: &Global, serve: &Serve) -> Result<(), Stop> {
    let folder = Folder::new(global.folder());
    let options = Options { workers: serve.workers.get(), queue_max: serve.queue.get() };
    let host = Host::open(&folder, serve.ceiling.as_deref(), options, global.compile)?;
    if let Some(url) = &serve.public_url {
        host.engine.set_public_url(url).map_err(host::engine_stop)?;
    }
    let mut signals = Signals::new()?;
    let hooks = bind(serve.listen, "--listen").await?;
    let admin = bind(serve.admin, "--admin").await?;
    let socket = bind_socket(&folder.socket())?;
    let token = Token::new(&admin_token(&folder)?);
    let open = host.engine.run().map_err(host::engine_stop)?;
    announce(&folder, &hooks, &admin, open)?;

    let (stop, stopped) = watch::channel(false);
    let mut listeners = JoinSet::new();
    let hooks_router = api::hooks_router(host.engine.clone(), global.environment.clone());
    let by_token = api::admin_router(host.engine.clone(), Auth::Token(token));
    let by_peer = api::admin_router(host.engine.clone(), Auth::Vouched);
    listeners.spawn(api::serve(Listener::Tcp(hooks), hooks_router, stopped.clone()));
    listeners.spawn(api::serve(Listener::Tcp(admin), by_token, stopped.clone()));
    listeners.spawn(api::serve(Listener::Unix(socket, peer::of), by_peer, stopped));

    let name = signals.next().await;
    tracing::info!(signal = name, within_s = DRAIN_WITHIN.as_secs(), "draining");
    // Nobody listens any more only when every listener has ended already.
    let _ = stop.send(true);
    let drained = drain(&host, listeners);
    tokio::select! {
        clean = drained => tracing::info!(clean, "drained"),
        name = signals.next() => tracing::warn!(signal = name, "ending at once"),
    }
    tidy_up(&folder);
    tokio::task::spawn_blocking(move || host.close()).await.map_err(anyhow::Error::new)?;
    tracing::info!("ended");
    Ok(())
}

/// Runs come to a safe point and answers go out, side by side.
async fn drain(host: &Host, mut listeners: JoinSet<()>) -> bool {
    let answered = tokio::time::timeout(DRAIN_WITHIN, async { while listeners.join_next().await.is_some() {} });
    let (runs, answers) = tokio::join!(host.engine.drain(DRAIN_WITHIN), answered);
    runs && answers.is_ok()
}

async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Stop> {
    TcpListener::bind(address).await.map_err(|error| {
        Stop::failed(
            Problem::new("address", format!("{address} cannot be listened on: {error}"))
                .cause("another program listens there, or the address is not this machine's")
                .fix(format!("choose another address with {option}, such as 127.0.0.1:0 for a free port")),
        )
    })
}

/// The folder's lock is held: a socket that is there is a leftover.
fn bind_socket(path: &Path) -> Result<UnixListener, Stop> {
    let leftover = fs::remove_file(path);
    if leftover.is_ok() {
        tracing::warn!(socket = %path.display(), "removed a socket that an earlier host left behind");
    }
    let made = UnixListener::bind(path).and_then(|socket| {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(socket)
    });
    made.map_err(|error| {
        Stop::failed(
            Problem::new("socket", format!("the socket {} cannot be made: {error}", path.display()))
                .cause("the path is longer than the system's 107 bytes, or the disk does not take sockets")
                .fix("choose a data folder with a shorter path: --data DIR"),
        )
    })
}

/// The administrators' token; made at the first start, told only by its path.
fn admin_token(folder: &Folder) -> Result<String, Stop> {
    let path = folder.token();
    if path.exists() {
        let token = input::read(&path)?.trim().to_owned();
        return if token.chars().count() < TOKEN_CHARS_MIN { Err(short_token(&path)) } else { Ok(token) };
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    let token = hex::encode(bytes);
    write_whole(&path, format!("{token}\n").as_bytes()).map_err(anyhow::Error::new)?;
    tracing::info!(file = %path.display(), "made the administrators' token");
    Ok(token)
}

/// An empty file would let everybody in who sends an empty token.
fn short_token(path: &Path) -> Stop {
    Stop::failed(
        Problem::new(
            "token-short",
            format!("the token in {} has less than {TOKEN_CHARS_MIN} characters", path.display()),
        )
        .cause("the file was emptied or edited; a short token can be guessed")
        .fix("remove the file: a new token is made at the next start"),
    )
}

fn announce(folder: &Folder, hooks: &TcpListener, admin: &TcpListener, open: usize) -> Result<(), Stop> {
    let (hooks, admin) =
        (hooks.local_addr().map_err(anyhow::Error::new)?, admin.local_addr().map_err(anyhow::Error::new)?);
    let pid = std::process::id();
    let document = json!({ "hooks": hooks.to_string(), "admin": admin.to_string(), "pid": pid });
    write_whole(&folder.listen(), format!("{document}\n").as_bytes()).map_err(anyhow::Error::new)?;
    tracing::info!(%hooks, %admin, socket = %folder.socket().display(), pid, open_runs = open, "listening");
    Ok(())
}

fn tidy_up(folder: &Folder) {
    for path in [folder.listen(), folder.socket()] {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(file = %path.display(), %error, "could not be removed");
        }
    }
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> Result<Self, Stop> {
        let listen = |kind| signal(kind).map_err(|error| Stop::from(anyhow::Error::new(error)));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Json { "json" } else { "text" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(place.path().to_owned());
        let made = admin_token(&folder).expect("made");
        assert_eq!((made.len(), admin_token(&folder).expect("kept")), (64, made.clone()));
        for (content, passes) in [("", false), (" \n", false), (&made[..31], false), (&made[..32], true)] {
            fs::write(folder.token(), content).expect("written");
            match admin_token(&folder) {
                Ok(token) => assert!(passes && token == content, "{content:?}"),
                Err(stop) => assert!(!passes && stop.problems[0].code == "token-short", "{content:?}"),
            }
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
