//! A load generator: keep-alive connections that send one prepared POST after
//! another and count full answers. On a runtime of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Requests a second over `connections` connections, `count` requests in all.
/// `body` makes the body of request number n.
pub(crate) fn rate(
    address: SocketAddr,
    path: &str,
    connections: usize,
    count: u64,
    body: &(dyn Fn(u64) -> String + Sync),
) -> Result<f64> {
    let begun = Instant::now();
    let waits = waits(address, path, connections, count, body)?;
    ensure!(waits.len() as u64 == count, "{} of {count} requests were answered", waits.len());
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// How long each of them waited for its answer, in no order.
pub(crate) fn waits(
    address: SocketAddr,
    path: &str,
    connections: usize,
    count: u64,
    body: &(dyn Fn(u64) -> String + Sync),
) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let senders = (0..connections).map(|_| send(address, path, next.clone(), count, body));
        let mut senders: Vec<_> = senders.map(Box::pin).collect();
        let mut waits = Vec::new();
        let mut done = 0;
        // All are polled from here: the body maker is borrowed.
        std::future::poll_fn(|context| {
            let mut failed = None;
            senders.retain_mut(|sender| match sender.as_mut().poll(context) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(result) => {
                    done += 1;
                    match result {
                        Ok(waited) => waits.extend(waited),
                        Err(error) => failed = Some(error),
                    }
                    false
                }
            });
            match failed {
                Some(error) => std::task::Poll::Ready(Err(error)),
                None if done == connections => std::task::Poll::Ready(Ok(())),
                None => std::task::Poll::Pending,
            }
        })
        .await?;
        Ok(waits)
    })
}

async fn send(
    address: SocketAddr,
    path: &str,
    next: Arc<AtomicU64>,
    count: u64,
    body: &(dyn Fn(u64) -> String + Sync),
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::new();
    let mut answer = Vec::with_capacity(4096);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(waits);
        }
        let body = body(number);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nx-token: {}\r\nx-id: {number}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            crate::host::TOKEN,
            body.len()
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream, &mut answer).await?;
        waits.push(begun.elapsed());
    }
}

/// Reads one answer with a content length; anything but 2xx is a failure.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<()> {
    answer.clear();
    let head = loop {
        if stream.read_buf(answer).await? == 0 {
            bail!("the server closed the connection");
        }
        if let Some(at) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
    if !text.starts_with("http/1.1 2") {
        bail!("the server answered {}", String::from_utf8_lossy(answer));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without content-length")?.trim().parse()?;
    while answer.len() < head + length {
        if stream.read_buf(answer).await? == 0 {
            bail!("the server closed the connection");
        }
    }
    Ok(())
}
