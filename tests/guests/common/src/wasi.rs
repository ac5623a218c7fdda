//! Requests over `wasi:http`, step by step, and what came of each step in one word.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

/// An answer, read whole.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// As the guest sees them.
    pub headers: Vec<(String, String)>,
    /// All that came.
    pub body: Vec<u8>,
    /// The code with which the body broke off.
    pub broke_off: Option<String>,
}

/// A request that has not left.
///
/// # Errors
/// `header NAME WHY`, `method`, `scheme`, `authority`, `path`: what the host does not take.
pub fn prepare(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<OutgoingRequest, String> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).map_err(|error| format!("header {name} {error:?}"))?;
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(fields);
    let refused = |part: &'static str| move |()| part.to_owned();
    request.set_method(&to_method(method)).map_err(refused("method"))?;
    request.set_scheme(Some(&to_scheme(scheme))).map_err(refused("scheme"))?;
    request.set_authority(Some(authority)).map_err(refused("authority"))?;
    request.set_path_with_query(Some(path)).map_err(refused("path"))?;
    Ok(request)
}

fn to_method(method: &str) -> Method {
    match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "TRACE" => Method::Trace,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    }
}

fn to_scheme(scheme: &str) -> Scheme {
    match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}

/// Sends a request with this body, in pieces; none for no body.
///
/// # Errors
/// The code's name, or what could not be written.
pub fn begin(request: OutgoingRequest, pieces: Option<&[&[u8]]>) -> Result<FutureIncomingResponse, String> {
    let Some(pieces) = pieces else { return handle(request, None).map_err(|code| say(&code)) };
    let body = request.body().map_err(|()| "no body".to_owned())?;
    let future = handle(request, None).map_err(|code| say(&code))?;
    // A remote, or the host, may have enough before the end: then the answer says why.
    if write(&body, pieces).is_some() {
        let _finished = OutgoingBody::finish(body, None);
    }
    Ok(future)
}

/// Writes all of it, waiting where the host wants to.
pub fn write(body: &OutgoingBody, pieces: &[&[u8]]) -> Option<()> {
    let stream = body.write().ok()?;
    for piece in pieces {
        for part in piece.chunks(4_096) {
            stream.blocking_write_and_flush(part).ok()?;
        }
    }
    Some(())
}

/// Waits for the head of the answer.
///
/// # Errors
/// The code's name.
pub fn head(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    match future.get() {
        Some(Ok(answer)) => answer.map_err(|code| say(&code)),
        Some(Err(())) => Err("taken already".to_owned()),
        None => Err("not there after all".to_owned()),
    }
}

/// The headers of an answer, as text.
pub fn headers(response: &IncomingResponse) -> Vec<(String, String)> {
    let entries = response.headers().entries();
    entries.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect()
}

/// The body of an answer. The stream goes before the body that it is of: the other way
/// round is a trap.
pub struct Open {
    /// To be read.
    pub stream: InputStream,
    /// What it is read of.
    pub body: IncomingBody,
}

/// The body of an answer, once.
pub fn open(response: &IncomingResponse) -> Option<Open> {
    let body = response.consume().ok()?;
    let stream = body.stream().ok()?;
    Some(Open { stream, body })
}

/// Reads a stream to its end, up to so many bytes; gives the code it broke off with.
pub fn read(stream: &InputStream, bytes_max: usize, whole: &mut Vec<u8>) -> Option<String> {
    while whole.len() < bytes_max {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => whole.extend_from_slice(&piece),
            Err(StreamError::Closed) => return None,
            Err(StreamError::LastOperationFailed(error)) => {
                return Some(http_error_code(&error).map_or_else(|| error.to_debug_string(), |code| say(&code)));
            }
        }
    }
    None
}

/// One request and its whole answer.
///
/// # Errors
/// As the host refuses it.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], pieces: Option<&[&[u8]]>) -> Result<Answer, String> {
    let future = begin(prepare(method, url, headers)?, pieces)?;
    let response = head(&future)?;
    let mut body = Vec::new();
    let broke_off = open(&response).and_then(|open| read(&open.stream, usize::MAX, &mut body));
    Ok(Answer { status: response.status(), headers: self::headers(&response), body, broke_off })
}

/// The code's name, without its payload's.
pub fn say(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    text.strip_prefix("ErrorCode::").map_or_else(|| text.clone(), str::to_owned)
}

/// `answered 200`, or what was refused.
pub fn say_answer(answer: &Result<Answer, String>) -> String {
    match answer {
        Ok(Answer { status, broke_off: None, .. }) => format!("answered {status}"),
        Ok(Answer { status, broke_off: Some(code), .. }) => format!("answered {status}, then {code}"),
        Err(refused) => refused.clone(),
    }
}
