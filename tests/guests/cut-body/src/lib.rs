//! Writes half a body of unknown length, waits until the remote has it, and is gone.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, unquote, wasi};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let request = wasi::prepare("POST", unquote(input), &[]).map_err(Error::Transient)?;
    let body = request.body().map_err(|()| Error::Transient("no body".to_owned()))?;
    let future = wasi::begin(request, None).map_err(Error::Transient)?;
    // More than every buffer on the way holds.
    let piece = [b'x'; 4_096];
    wasi::write(&body, &[&piece[..]; 1_024]);
    drop(future.subscribe());
    core::arch::wasm32::unreachable()
}
