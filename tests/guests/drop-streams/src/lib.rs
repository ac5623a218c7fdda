//! Begins requests and drops what it holds at every point, then works on.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list, unquote, wasi};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let origin = unquote(input);
    let (small, large) = (format!("{origin}/small"), format!("{origin}/bytes/100000"));
    let prepare = |method: &str, url: &str| wasi::prepare(method, url, &[]).map_err(Error::Transient);
    let begin = |url: &str| wasi::begin(prepare("GET", url)?, None).map_err(Error::Transient);
    // Before it leaves; while it leaves; with its head there; in the middle of its body.
    drop(prepare("GET", &small)?);
    drop(begin(&large)?);
    drop(wasi::head(&begin(&large)?));
    let response = wasi::head(&begin(&large)?).map_err(Error::Transient)?;
    let open = wasi::open(&response).ok_or_else(|| Error::Transient("no stream".to_owned()))?;
    wasi::read(&open.stream, 10, &mut Vec::new());
    drop((open, response));
    // A body that was begun, and a body that was finished without anything in it.
    let request = prepare("POST", &small)?;
    let body = request.body().map_err(|()| Error::Transient("no body".to_owned()))?;
    let future = wasi::begin(request, None).map_err(Error::Transient)?;
    wasi::write(&body, &[b"half"]);
    drop(body);
    let broken = wasi::head(&future).map(|response| response.status().to_string());
    let empty = wasi::say_answer(&wasi::ask("GET", &small, &[], Some(&[])));
    let after = wasi::say_answer(&wasi::ask("GET", &small, &[], None));
    Ok(list([broken.unwrap_or_else(|code| code), empty, after]))
}
