//! A real engine on a data folder of its own, and requests to its routers.

use std::sync::Arc;
use std::time::Duration;

use api::{Auth, Caller, Token};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use engine::{Engine, Options, Parts, SystemClock};
use futures_util::FutureExt as _;
use hmac::{Hmac, Mac as _};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

/// Signs deliveries.
pub(crate) const SECRET: &str = "a secret of the tests";

/// The HMAC-SHA256 of a body, as the flows here want it.
pub(crate) fn sign(body: &[u8]) -> String {
    sign_with(SECRET, body)
}

pub(crate) fn sign_with(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// An engine with both of its routers.
pub(crate) struct Bench {
    engine: Engine,
    _folder: tempfile::TempDir,
}

/// An answer, as far as tests look at it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) run_header: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn status_is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, code: &str) {
        self.status_is(status);
        assert_eq!(self.body["problems"][0]["code"], code, "{}", self.body);
    }

    pub(crate) fn run(&self) -> &str {
        self.body["run"].as_str().unwrap()
    }
}

impl Bench {
    /// Opens and runs an engine.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store::JournalStore::open(&folder.path().join("store"), store::Options::default()).unwrap();
        let mut sandbox = sandbox::Options::new(folder.path().join("cache"), [0; 32]);
        (sandbox.calls_max, sandbox.warm_slots) = (4, 1);
        let ceiling = policy::Ceiling::parse("version = 1\n", "ceiling.toml").unwrap();
        let engine = Engine::open(Parts {
            folder: folder.path().to_owned(),
            store: Arc::new(store),
            vault: vault::Vault::open(&folder.path().join("vault.key")).unwrap(),
            connectors: Arc::new(sandbox::Sandbox::open(sandbox).unwrap()),
            egress: Arc::new(egress::Egress::new(egress::EgressOptions::default()).unwrap()),
            ceiling: Arc::new(ceiling),
            clock: Arc::new(SystemClock),
            options: Options::default(),
        })
        .unwrap();
        assert_eq!(engine.run().unwrap(), 0);
        Self { engine, _folder: folder }
    }

    pub(crate) async fn drain(&self) -> bool {
        self.engine.drain(Duration::from_secs(10)).await
    }

    /// As `ada`, whom the listener vouches for.
    pub(crate) async fn admin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = request(method, path, headers, body.to_owned().into());
        request.extensions_mut().insert(Caller("ada".to_owned()));
        send(api::admin_router(self.engine.clone(), Auth::Vouched), request).await
    }

    pub(crate) async fn admin_json(&self, path: &str, body: &Value) -> Reply {
        self.admin("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(crate) async fn admin_by_token(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let router = api::admin_router(self.engine.clone(), Auth::Token(Token::new("a token")));
        send(router, request(method, path, headers, body.to_owned().into())).await
    }

    pub(crate) async fn admin_by_nobody(&self, method: &str, path: &str) -> Reply {
        send(api::admin_router(self.engine.clone(), Auth::Vouched), request(method, path, &[], Body::empty())).await
    }

    pub(crate) async fn hook(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.hook_bytes(path, headers, body.as_bytes().to_vec()).await
    }

    pub(crate) async fn hook_get(&self, path: &str) -> Reply {
        send(self.hooks(), request("GET", path, &[], Body::empty())).await
    }

    pub(crate) async fn hook_bytes(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        send(self.hooks(), request("POST", path, headers, body.into())).await
    }

    /// In pieces, its size not announced.
    pub(crate) async fn hook_streamed(&self, path: &str, body: Vec<u8>) -> Reply {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            body.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        send(self.hooks(), request("POST", path, &[], Body::from_stream(futures_util::stream::iter(pieces)))).await
    }

    /// Announced, and never sent.
    pub(crate) async fn hook_announced(&self, path: &str, bytes: u64) -> Reply {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        send(self.hooks(), request("POST", path, &[("content-length", &bytes.to_string())], Body::from_stream(never)))
            .await
    }

    fn hooks(&self) -> Router {
        api::hooks_router(self.engine.clone(), "test".parse().unwrap())
    }

    pub(crate) async fn connect(&self, id: &str) -> Reply {
        let new = json!({ "id": id, "environment": "test", "plugin": "webhook", "webhook_secret": SECRET });
        self.admin_json("/api/v1/connections", &new).await
    }

    pub(crate) async fn apply(&self, document: &str) -> Reply {
        let new = json!({ "document": document, "file": "flow.yaml", "environment": "test" });
        self.admin_json("/api/v1/flows", &new).await
    }

    pub(crate) async fn start(&self, flow: &str, input: Value) -> Reply {
        self.admin_json(&format!("/api/v1/flows/test/{flow}/runs"), &json!({ "input": input })).await
    }

    /// Sends the request and goes away without waiting for anything.
    pub(crate) fn start_and_go(&self, flow: &str, input: &Value) {
        let (path, body) = (format!("/api/v1/flows/test/{flow}/runs"), json!({ "input": input }).to_string());
        let mut request = request("POST", &path, &[("content-type", "application/json")], body.into());
        request.extensions_mut().insert(Caller("ada".to_owned()));
        let answer = send(api::admin_router(self.engine.clone(), Auth::Vouched), request).now_or_never();
        assert!(answer.is_none(), "{answer:?} came at once");
    }

    /// A run, once there is one.
    pub(crate) async fn first_run(&self) -> Value {
        for _ in 0..100_000 {
            if let Some(run) = self.runs().await.into_iter().next() {
                return run;
            }
            tokio::task::yield_now().await;
        }
        panic!("no run begins")
    }

    pub(crate) async fn runs(&self) -> Vec<Value> {
        let reply = self.admin("GET", "/api/v1/runs", &[], "").await;
        reply.body["runs"].as_array().unwrap().clone()
    }

    /// The run, once it is over.
    pub(crate) async fn ended(&self, run: &str) -> Value {
        for _ in 0..100_000 {
            let reply = self.admin("GET", &format!("/api/v1/runs/{run}"), &[], "").await;
            if !matches!(reply.body["status"].as_str(), Some("received" | "running")) {
                return reply.body;
            }
            tokio::task::yield_now().await;
        }
        panic!("run {run} does not end")
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body).unwrap()
}

async fn send(router: Router, request: Request<Body>) -> Reply {
    let response: Response<Body> = router.oneshot(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, retry_after, run_header) = (response.status().as_u16(), header("retry-after"), header("sluice-run"));
    assert!(header("x-request-id").is_some());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Reply { status, retry_after, run_header, body: serde_json::from_slice(&body).unwrap() }
}
