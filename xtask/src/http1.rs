//! As much of HTTP/1.1 (RFC 9112) as the receiver and the sender need.
//!
//! Owns message framing: heads, bodies by length and in chunks. Refuses to know what
//! messages mean. Kept apart from the host's HTTP libraries on purpose: what judges the
//! host must not share its faults.

use std::io::{self, BufRead, Read as _, Write};

/// No message of ours has more; a longer head is a fault, not a load.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request or an answer.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The request line or the status line.
    pub start: String,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// Byte for byte, without chunk marks.
    pub body: Vec<u8>,
}

impl Message {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether the sender closes the connection after this message.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads the next message; None when the peer closed between messages.
///
/// # Errors
/// The connection broke, or what came is not HTTP/1.1.
pub fn read(from: &mut impl BufRead) -> io::Result<Option<Message>> {
    let Some(start) = read_line(from)? else { return Ok(None) };
    let mut message = Message { start, ..Message::default() };
    let mut bytes = message.start.len();
    loop {
        let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            break;
        }
        bytes += line.len();
        if bytes > HEAD_BYTES_MAX {
            return Err(invalid("the head is too long"));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header has no colon"))?;
        message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    message.body = read_body(from, &message)?;
    Ok(Some(message))
}

/// Writes a head and a body with its length.
///
/// # Errors
/// The connection broke.
pub fn write(to: &mut impl Write, start: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(256 + body.len());
    write!(bytes, "{start}\r\ncontent-length: {}\r\n", body.len())?;
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    to.write_all(&bytes)?;
    to.flush()
}

fn read_body(from: &mut impl BufRead, message: &Message) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if message.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return read_chunks(from);
    }
    if let Some(length) = message.header("content-length") {
        let length: u64 = length.parse().map_err(|_| invalid("the content length is no number"))?;
        from.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk has no size"))?;
        let before = body.len() as u64;
        from.take(size).read_to_end(&mut body)?;
        if body.len() as u64 != before + size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The end of the chunk, or of the trailers after the last one.
        while !read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {}
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A line without its end; None at the end of the stream.
fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    from.take(HEAD_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| invalid("a head line is not UTF-8"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_by_length_in_chunks_or_not_at_all() {
        let cases: [(&str, Option<&str>); 6] = [
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcREST", Some("abc")),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", Some("abc")),
            ("GET / HTTP/1.1\r\n\r\n", Some("")),
            ("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nabc", None),
            ("POST / HTTP/1.1\r\nno colon\r\n\r\n", None),
            ("POST / HTTP/1.1\r\ncontent-le", None),
        ];
        for (bytes, wanted) in cases {
            let got = read(&mut bytes.as_bytes()).ok().flatten().map(|message| message.body);
            assert_eq!(got.as_deref(), wanted.map(str::as_bytes), "{bytes:?}");
        }
        assert!(read(&mut "".as_bytes()).expect("an end is no fault").is_none());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        write(&mut bytes, "HTTP/1.1 200 OK", &[("connection", "close")], b"{}").expect("memory");
        let message = read(&mut bytes.as_slice()).expect("valid").expect("one");
        assert_eq!((message.start.as_str(), message.body.as_slice()), ("HTTP/1.1 200 OK", b"{}".as_slice()));
        assert!(message.closes());
    }
}
