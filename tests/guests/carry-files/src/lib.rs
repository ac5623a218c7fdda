//! Downloads and uploads where it may and where it may not.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, fetch, guest, list, say, say_file, transfers, unquote};

guest!(act);

/// `get URL PATH`, `head URL PATH` or `put URL PATH`, with semicolons between them.
fn act(input: &str) -> Result<String, Error> {
    let orders = unquote(input).split(';').map(|order| {
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            ["get", url, path] => say_download(transfers::download(&request("GET", url), path)),
            ["head", url, path] => say_download(transfers::download(&request("HEAD", url), path)),
            ["put", url, path] => match transfers::upload(&request("PUT", url), path) {
                Ok(response) => format!("answered {}", response.status),
                Err(error) => say_error(error),
            },
            _ => "not understood".to_owned(),
        }
    });
    Ok(list(orders))
}

fn request(method: &str, url: &str) -> fetch::Request {
    fetch::Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: fetch::Body::Empty,
        timeout_ms: None,
    }
}

fn say_download(done: Result<transfers::Downloaded, transfers::TransferError>) -> String {
    match done {
        Ok(transfers::Downloaded { status, saved: Some(bytes), .. }) => format!("answered {status}, saved {bytes}"),
        Ok(transfers::Downloaded { status, body, .. }) => format!("answered {status} with {}", body.len()),
        Err(error) => say_error(error),
    }
}

fn say_error(error: transfers::TransferError) -> String {
    match error {
        transfers::TransferError::Request(error) => say(&Err(error)),
        transfers::TransferError::File(error) => say_file::<()>(&Err(error)),
    }
}
