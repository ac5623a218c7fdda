//! Bodies far larger than memory: the host's own hardly grows while they pass.
//!
//! 64 MiB each way in the suite; 1 GiB in the long form (see `testkit::Torture`), which
//! takes as much room on the disk.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use guest_tests::{Act, Stage};
use sandbox::Answer;
use testkit::Torture;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Several times what a transfer holds, a quarter of what the short form moves.
const GROWTH_BYTES_MAX: u64 = 16 << 20;
const MIB: u64 = 1 << 20;

/// Serves `GET /N` with N bytes, and takes whatever comes; under `/cut` only the half.
struct Remote {
    address: SocketAddr,
    /// The bytes of the last body that came, whole or not.
    taken: Arc<AtomicU64>,
}

impl Remote {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let taken = Arc::new(AtomicU64::new(0));
        let counted = taken.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = counted.clone();
                // A client that goes away is part of the tests.
                tokio::spawn(async move { drop(serve(BufReader::new(stream), &counted).await) });
            }
        });
        Self { address, taken }
    }
}

async fn serve(mut stream: BufReader<TcpStream>, taken: &AtomicU64) -> std::io::Result<()> {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let cut = path.starts_with("/cut");
        if method == "GET" {
            let bytes: u64 = path.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or(0);
            send(&mut stream, bytes, if cut { bytes / 2 } else { bytes }).await?;
        } else {
            let mut lengths = head
                .lines()
                .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let bytes: u64 = lengths.next_back().unwrap_or(0);
            take(&mut stream, if cut { bytes / 2 } else { bytes }, taken).await?;
            if !cut {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            }
        }
        if cut {
            return Ok(());
        }
    }
}

async fn send(stream: &mut BufReader<TcpStream>, promised: u64, mut left: u64) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {promised}\r\n\r\n").as_bytes()).await?;
    let block = vec![b'x'; 64 << 10];
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        stream.write_all(&block[..piece]).await?;
        left -= piece as u64;
    }
    stream.flush().await
}

async fn take(stream: &mut BufReader<TcpStream>, mut left: u64, taken: &AtomicU64) -> std::io::Result<()> {
    taken.store(0, Ordering::SeqCst);
    let mut block = vec![0; 64 << 10];
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        let read = stream.read(&mut block[..piece]).await?;
        if read == 0 {
            return Ok(());
        }
        left -= read as u64;
        taken.fetch_add(read as u64, Ordering::SeqCst);
    }
    Ok(())
}

/// What this process holds in memory now, and what it held at most since [`forget_peak`].
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("a process may forget its own peak");
}

/// Limits that let so many bytes through, and nothing else of that size.
fn allowing<'s>(act: Act<'s>, remote: &Remote, bytes: u64) -> Act<'s> {
    let limits = format!("request_bytes = {bytes}\nresponse_bytes = {bytes}\nfile_bytes = {bytes}\nwall_ms = 600000");
    act.limits(&limits).serving(&remote.address.to_string())
}

async fn told(act: Act<'_>) -> String {
    match act.run().await.outcome {
        Ok(Answer::Output(json)) => serde_json::from_str::<Vec<String>>(&json).expect("a list").join("; "),
        other => panic!("the guest was to survive: {other:?}"),
    }
}

/// Downloads and uploads so many bytes.
async fn carry(stage: &Stage, remote: &Remote, bytes: u64) {
    let place = remote.address;
    let act = stage.act("carry-files").text(&format!("get http://{place}/{bytes} inbox/large"));
    assert_eq!(told(allowing(act, remote, bytes)).await, format!("answered 200, saved {bytes}"));
    let file = stage.inbox().join("large");
    assert_eq!(fs::metadata(&file).expect("saved").len(), bytes);
    fs::remove_file(&file).expect("removed");

    File::create(&file).and_then(|file| file.set_len(bytes)).expect("a sparse file");
    let act = stage.act("carry-files").text(&format!("put http://{place}/ inbox/large"));
    assert_eq!(told(allowing(act, remote, bytes)).await, "answered 200");
    assert_eq!(remote.taken.load(Ordering::SeqCst), bytes);
    fs::remove_file(&file).expect("removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_large_bodies_pass_through_little_memory() {
    let mut torture = Torture::new("large-bodies", 1);
    let bytes = if torture.is_long() { 1 << 30 } else { 64 * MIB };
    let (stage, remote) = (Stage::open().await, Remote::start().await);
    carry(&stage, &remote, 4 * MIB).await;
    forget_peak();
    let (before, _) = memory();
    while let Some(seed) = torture.next_seed() {
        carry(&stage, &remote, bytes).await;
        let growth = memory().1.saturating_sub(before);
        if growth >= GROWTH_BYTES_MAX {
            torture.fail(seed, format!("memory grew by {growth} bytes for {bytes} bytes each way"));
        }
        torture.add("MiB each way", bytes / MIB);
    }
    torture.add("KiB that memory grew by at most", memory().1.saturating_sub(before) >> 10);
    torture.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_leaves_no_half_file() {
    let (stage, remote) = (Stage::open().await, Remote::start().await);
    let (place, bytes) = (remote.address, 8 * MIB);
    let file = stage.inbox().join("large");
    fs::write(&file, "old").expect("written");
    let act = stage.act("carry-files").text(&format!("get http://{place}/cut/{bytes} inbox/large"));
    let told_of = told(allowing(act, &remote, bytes)).await;
    assert!(told_of.starts_with("unreachable ") && told_of.contains("broke off"), "{told_of}");
    assert_eq!(fs::read(&file).expect("kept"), b"old");
    assert_eq!(fs::read_dir(stage.inbox()).expect("listed").count(), 1, "nothing else is there");

    File::create(&file).and_then(|file| file.set_len(bytes)).expect("a sparse file");
    let act = stage.act("carry-files").text(&format!("put http://{place}/cut inbox/large"));
    let told_of = told(allowing(act, &remote, bytes)).await;
    assert!(told_of.starts_with("unreachable "), "{told_of}");
    let act = stage.act("carry-files").text(&format!("put http://{place}/ inbox/large"));
    assert_eq!(told(allowing(act, &remote, bytes - 1)).await, "limit request_bytes");
    assert_eq!(fs::metadata(&file).expect("kept").len(), bytes);
}
