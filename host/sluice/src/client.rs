//! The way to the host: over its socket, or in process when none runs.
//!
//! One code path: both ends speak to the same router. A socket that nobody answers
//! is a leftover when the folder can be opened; otherwise its holder is named.

use std::path::PathBuf;
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
                let host = Host::open(&folder, None, Options::default(), global.compile)?;
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
            let reply: Reply<RunView> = self.get(&format!("/api/v1/runs/{run}")).await?;
            if reply.value.record.status.is_final() {
                return Ok(reply);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_LONGEST);
        }
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
        let mut request = Request::builder().method(method).uri(path).header(HOST, "sluice");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(anyhow::Error::new)?;
        let response = match self {
            Self::Socket(socket) => send(socket, request).await.map_err(|error| lost(socket, &error))?,
            Self::Local(host) => {
                let router = api::admin_router(host.engine.clone(), Auth::Vouched);
                api::call(router, peer::own(), request).await.map_err(anyhow::Error::new)?
            }
        };
        read(&response)
    }
}

async fn send(socket: &PathBuf, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(parts, body))
}

fn lost(socket: &std::path::Path, error: &anyhow::Error) -> Stop {
    Stop::new(
        Exit::Unreachable,
        Problem::new("host-lost", format!("the host at {} did not answer: {error:#}", socket.display()))
            .cause("it stopped meanwhile")
            .fix("look at its log, and ask again"),
    )
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
}
