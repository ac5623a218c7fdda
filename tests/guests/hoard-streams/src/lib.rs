//! Opens streams, reads and finishes none, and keeps them all: answers, or bodies with
//! something written into each.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, quote, unquote, wasi};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let url = unquote(input);
    match url.strip_prefix("bodies ") {
        Some(url) => hoard_bodies(url),
        None => hoard_answers(url),
    }
}

fn hoard_answers(url: &str) -> Result<String, Error> {
    let mut kept = Vec::new();
    loop {
        let opened = wasi::prepare("GET", url, &[]).and_then(|request| wasi::begin(request, None));
        match opened.and_then(|future| wasi::head(&future)) {
            Ok(response) => kept.push((wasi::open(&response), response)),
            Err(refused) => {
                let said = quote(&format!("{} and then {refused}", kept.len()));
                // Not even when it ends.
                std::mem::forget(kept);
                return Ok(said);
            }
        }
    }
}

fn hoard_bodies(url: &str) -> Result<String, Error> {
    let mut kept = Vec::new();
    loop {
        let request = wasi::prepare("POST", url, &[]).map_err(Error::Transient)?;
        let body = request.body().map_err(|()| Error::Transient("no body".to_owned()))?;
        let stream = body.write().map_err(|()| Error::Transient("no stream".to_owned()))?;
        while let Ok(room) = stream.check_write() {
            if room == 0 || stream.write(&vec![7; room as usize]).is_err() {
                break;
            }
        }
        kept.push((stream, body, request));
    }
}
