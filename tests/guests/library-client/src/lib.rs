//! Uses a client library for `wasi:http` as it is, which knows nothing of this host.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list, unquote};
use wstd::http::{Body, Client, Request};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let url = unquote(input);
    wstd::runtime::block_on(async {
        let got = exchange(Request::get(url), Body::empty()).await;
        let posted =
            exchange(Request::post(url).header("content-type", "text/plain"), Body::from("from a library")).await;
        Ok(list([got, posted]))
    })
}

async fn exchange(request: wstd::http::request::Builder, body: Body) -> String {
    let Ok(request) = request.body(body) else { return "no request".to_owned() };
    match Client::new().send(request).await {
        Ok(response) => {
            let (status, mut body) = (response.status(), response.into_body());
            match body.contents().await {
                Ok(bytes) => format!("{} {}", status.as_u16(), String::from_utf8_lossy(bytes)),
                Err(error) => format!("{} then {error:?}", status.as_u16()),
            }
        }
        Err(error) => format!("{error:?}"),
    }
}
