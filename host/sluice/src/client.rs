//! The way to the host: over its socket, or in process when none runs.
//!
//! One code path: both ends speak to the same router. A socket that nobody answers
//! is a leftover when the folder can be opened; otherwise its holder is named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::Auth;
use bytes::Bytes;
use engine::{Options, RunView};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::{Problem, RunId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::cli::Global;
use crate::exit::{Exit, Outcome, Stop};
use crate::folder::Folder;
use crate::host::Host;
use crate::{peer, show};

/// A host, near or nearer.
pub(crate) enum Client {
    /// Another process.
    Socket(PathBuf),
    /// This one.
    Local(Box<Host>),
}

/// An answer, as it came and as a value for people.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    pub(crate) json: Value,
    pub(crate) value: T,
}

/// The code of a host that does not answer any more.
const HOST_LOST: &str = "host-lost";
/// How long runs may take to come to a durable point when a command ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at a run that is waited for; doubles up to the longest.
const LOOK_FIRST: Duration = Duration::from_millis(20);
const LOOK_LONGEST: Duration = Duration::from_millis(500);

impl Client {
    /// Finds the host or becomes it, does the work, and lets go.
    pub(crate) async fn with(global: &Global, work: impl AsyncFnOnce(&Self) -> Outcome) -> Outcome {
        let client = Self::connect(global).await?;
        let outcome = work(&client).await;
        client.close().await;
        outcome
    }

    async fn connect(global: &Global) -> Result<Self, Stop> {
        let folder = Folder::new(global.folder());
        let socket = folder.socket();
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(Self::Socket(socket)),
            Err(_) => {
                let is_new = !folder.path().exists();
                let host = Host::open(&folder, None, Options::default(), global.compile)?;
                if is_new {
                    eprintln!("note: there was no data folder {}; a new one was made", folder.path().display());
                }
                Ok(Self::Local(Box::new(host)))
            }
        }
    }

    /// Whether another process is the host.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Reply<T>, Stop> {
        self.ask(Method::GET, path, None, Bytes::new()).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<Reply<T>, Stop> {
        self.ask(Method::DELETE, path, None, Bytes::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Reply<T>, Stop> {
        let body = serde_json::to_vec(body).map_err(anyhow::Error::new)?;
        self.ask(Method::POST, path, Some("application/json"), body.into()).await
    }

    pub(crate) async fn upload<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<Reply<T>, Stop> {
        self.ask(Method::POST, path, Some("application/wasm"), body.into()).await
    }

    /// Waits until a run has ended. In process, works on it meanwhile.
    pub(crate) async fn wait(&self, run: &RunId) -> Result<Reply<RunView>, Stop> {
        if let Self::Local(host) = self {
            host.engine.run().map_err(crate::host::engine_stop)?;
        }
        let mut pause = LOOK_FIRST;
        loop {
            let reply = self.look(run).await?;
            if reply.value.record.status.is_final() {
                return Ok(reply);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_LONGEST);
        }
    }

    /// An accepted run as it is now.
    pub(crate) async fn look(&self, run: &RunId) -> Result<Reply<RunView>, Stop> {
        self.get(&format!("/api/v1/runs/{run}")).await.map_err(|stop| outlived(stop, run))
    }

    /// Lets go of the folder, if this process holds it.
    async fn close(self) {
        if let Self::Local(host) = self {
            host.engine.drain(DRAIN_WITHIN).await;
            host.close();
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Reply<T>, Stop> {
        check_size(content_type, body.len())?;
        let may_be_done = method != Method::GET;
        let mut request = Request::builder().method(method).uri(path).header(HOST, "sluice");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(anyhow::Error::new)?;
        let response = match self {
            Self::Socket(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(anyhow::Error::new);
                let stream = stream.map_err(|error| lost(socket, &error, false))?;
                send(stream, request).await.map_err(|error| lost(socket, &error, may_be_done))?
            }
            Self::Local(host) => {
                let router = api::admin_router(host.engine.clone(), Auth::Vouched);
                api::call(router, peer::own(), request).await.map_err(anyhow::Error::new)?
            }
        };
        read(&response)
    }
}

/// A host closes the connection on what is too large, perhaps before its answer is read.
fn check_size(content_type: Option<&str>, bytes: usize) -> Result<(), Stop> {
    let (what, bytes_max) = match content_type {
        Some("application/wasm") => ("component", api::PLUGIN_BYTES_MAX),
        _ => ("document", api::JSON_BYTES_MAX),
    };
    if bytes <= bytes_max {
        return Ok(());
    }
    let what = format!("the {what} has {bytes} bytes, and a host takes at most {bytes_max}; nothing was sent");
    Err(Stop::failed(api::too_large(what)))
}

async fn send(stream: UnixStream, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(parts, body))
}

/// A host that is gone; `may_be_done` when it may have heard what it was to change.
fn lost(socket: &Path, error: &anyhow::Error, may_be_done: bool) -> Stop {
    let (cause, fix) = if may_be_done {
        (
            "it stopped meanwhile; what was asked for may have been done",
            "look at the host's log, and before you ask again, whether it was done: a run stands in sluice run list",
        )
    } else {
        ("it stopped meanwhile", "look at its log, and ask again")
    };
    let what = format!("the host at {} did not answer: {error:#}", socket.display());
    Stop::new(Exit::Unreachable, Problem::new(HOST_LOST, what).cause(cause).fix(fix))
}

/// A run that was accepted outlives its host: asked for again, there would be two.
fn outlived(mut stop: Stop, run: &RunId) -> Stop {
    for problem in stop.problems.iter_mut().filter(|problem| problem.code == HOST_LOST) {
        problem.cause = Some(format!("it stopped meanwhile; run {run} was accepted, and goes on when a host runs"));
        problem.fix = Some(format!("do not ask for it again. Start the host, then look: sluice run show {run}"));
    }
    stop
}

fn read<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<Reply<T>, Stop> {
    let json: Value = serde_json::from_slice(response.body()).map_err(|error| not_ours(response.status(), &error))?;
    let mut shown = json.clone();
    show::clean(&mut shown);
    if !response.status().is_success() {
        let refused: api::wire::Problems =
            serde_json::from_value(shown).map_err(|error| not_ours(response.status(), &error))?;
        return Err(Stop::of(refused.problems));
    }
    let value = serde_json::from_value(shown).map_err(|error| not_ours(response.status(), &error))?;
    Ok(Reply { json, value })
}

fn not_ours(status: StatusCode, error: &serde_json::Error) -> Stop {
    Stop::failed(
        Problem::new("other-release", format!("the host's answer ({status}) is not understood: {error}"))
            .cause("the host is of another release than this command")
            .fix("use the sluice that the host was started with"),
    )
}

/// What stands for itself in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A part of a path, or a value in a query.
pub(crate) fn part(text: &str) -> String {
    // As whole segments, dots would be resolved away.
    match text {
        "." | ".." => text.replace('.', "%2E"),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_stay_parts() {
        for (text, wanted) in
            [("slack", "slack"), ("a/b?c", "a%2Fb%3Fc"), ("..", "%2E%2E"), ("sha256:ab", "sha256%3Aab")]
        {
            assert_eq!(super::part(text), wanted);
        }
    }

    #[test]
    fn what_a_lost_host_may_have_done_is_not_asked_for_again() {
        let lost = |may_be_done| super::lost(std::path::Path::new("s"), &anyhow::anyhow!("gone"), may_be_done);
        assert!(lost(false).problems[0].to_string().contains("ask again"));
        assert!(lost(true).problems[0].to_string().contains("may have been done"));
        let run: model::RunId = "0".repeat(32).parse().expect("a run's name");
        let told = super::outlived(lost(false), &run).problems[0].to_string();
        assert!(told.contains(&format!("sluice run show {run}")) && told.contains("was accepted"), "{told}");
    }

    #[test]
    fn what_no_host_takes_is_not_sent() {
        for (content_type, bytes_max) in
            [("application/wasm", api::PLUGIN_BYTES_MAX), ("application/json", api::JSON_BYTES_MAX)]
        {
            assert!(super::check_size(Some(content_type), bytes_max).is_ok());
            let stop = super::check_size(Some(content_type), bytes_max + 1).expect_err("too large");
            assert_eq!(stop.problems[0].code, "body-too-large");
        }
    }
}
